"""The kernel behind the 3x3 projection: accuracy on hard matrices, every caller, every order."""

import signal
import subprocess
import sys
import threading

import pytest
import torch
from conftest import EYE, F64, assert_near, central_differences, gaussian, rotations, seeded
from hard_cases import exact, hard_cases
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset

from rotlib import is_rotation, svd_orthogonalize
from rotlib._nearest import formula, function, loop, refused
from rotlib.svd import signed_svd

ITEMS = 12
CASES = hard_cases(ITEMS, seeded(1))
SINGULAR = [(0, 0, 0), (2, 0, 0), (-1, -1, -1), (1, 1, -1), (2, 1, -1), (1, 1e-9, -1e-9)]
EPS = torch.finfo(F64).eps
LARGE = 2 * function.MANY + 5
both_ways = pytest.mark.parametrize("numba", [True, False], ids=["with Numba", "without Numba"])


def without_numba(monkeypatch):
    monkeypatch.setattr(function, "_loop", lambda x: None)


def with_gradient(M, G, **options):
    M = M.detach().requires_grad_()
    R = svd_orthogonalize(M)
    return R.detach(), torch.autograd.grad(R, M, G, **options)[0].detach()


def equal(results, expected):
    return all(torch.equal(a, b) for a, b in zip(results, expected, strict=True))


def singular(dtype):
    diagonal = torch.diag_embed(torch.tensor(SINGULAR, dtype=dtype))
    return torch.cat(
        [diagonal, rotations(6, dtype=dtype) @ diagonal @ rotations(6, seed=1, dtype=dtype)]
    )


def many(dtype=F64):
    """Matrices for two threads, with some that the formula refuses in both halves."""
    M = gaussian(LARGE, 3, 3, dtype=dtype)
    M[::1001] *= 0
    M[5::1001] = torch.diag(torch.tensor([1, 1, -1], dtype=dtype))
    return M, gaussian(LARGE, 3, 3, seed=1, dtype=dtype)


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_within_ten_times_the_conditioning_bound(name, dtype, monkeypatch):
    """An error eps in M turns R by eps s1 / (s2 + s3): nobody can promise less than that."""
    M, G = CASES[name].to(dtype), gaussian(ITEMS, 3, 3, dtype=dtype)
    found = [with_gradient(M, G), with_gradient(M, G, create_graph=True)]
    found.append(jvp(svd_orthogonalize, (M,), (G,)))  # the derivative is symmetric
    without_numba(monkeypatch)
    found.append(with_gradient(M, G))
    for n, (m, g) in enumerate(zip(M, G, strict=True)):
        value, expected, conditioning, gap = exact(m, g)
        bound = torch.finfo(dtype).eps * conditioning
        for R, gradient in found:
            assert (R[n].double() - value).norm() <= 10 * bound
            apart = (gradient[n].double() - expected).norm()
            assert apart <= 10 * bound * g.double().norm() * 2 / gap


def test_every_class_of_hard_matrices_is_there():
    assert len(CASES) == 27
    assert {torch.linalg.det(M[0]).sign().item() for M in CASES.values()} >= {-1, 1}


def test_the_loop_is_the_formula_to_rounding(dtype):
    """So that what is measured of one holds for the other; refused matrices included."""
    M = torch.cat([*CASES.values(), singular(F64)]).to(dtype)
    G, eps = gaussian(len(M), 3, 3, dtype=dtype), torch.finfo(dtype).eps
    (R, Z), (R2, Z2) = function._by_loop(M), function._by_formula(M)
    s = signed_svd(M.double())[1]
    conditioning = (s[:, 0] / (s[:, 1] + s[:, 2])).nan_to_num(1)  # matrices of zeros
    unique = conditioning < 1 / (100 * eps)
    assert 0 < (~unique).sum() < unique.sum()
    allowed = 10 * eps * conditioning[unique]
    assert ((R - R2).flatten(1).norm(dim=1)[unique] <= allowed).all()
    difference = (Z - Z2).flatten(1).norm(dim=1)[unique]
    assert (difference <= 2 * allowed * Z2.flatten(1).norm(dim=1)[unique]).all()
    # Where several rotations are as near either may be chosen, but it is one of them.
    size = s.abs().amax(-1)
    sums = [torch.einsum("nij,nij->n", x.double(), M.double()) for x in (R, R2)]
    assert ((sums[0] - sums[1]).abs() <= 10 * eps * size).all()
    # Their tr(H) I - H has the same eigenvalues, and so has its inverse but for zeros.
    lengths = [x.double().flatten(1).norm(dim=1)[~unique] for x in (Z, Z2)]
    assert ((lengths[0] - lengths[1]).abs() <= 20 * eps * lengths[1]).all()
    gradient = function._differential(G, R, Z)
    expected = formula.differential(G.double(), R.double(), Z.double())
    size = Z.double().flatten(1).norm(dim=1)[:, None, None]
    size = torch.where(size > 0, size, 1)
    assert_near(gradient.double() / size, expected / size, 20 * eps)


@pytest.mark.parametrize("name", CASES)
def test_what_refused_matrices_get_would_be_right_for_all(name):
    """As near as the formula, whose cases it may have to take: no threshold hides a fault."""
    M = CASES[name]
    R, Z = torch.empty_like(M), torch.empty_like(M)
    for arrays in zip(M.numpy(), R.numpy(), Z.numpy(), strict=True):
        loop.apart(*arrays, EPS)
    S, _ = formula.scaled(M)
    for n, (m, g) in enumerate(zip(M, gaussian(ITEMS, 3, 3), strict=True)):
        value, _, conditioning, _ = exact(m, g)
        assert (R[n] - value).norm() <= 10 * EPS * conditioning
        assert (refused.nearest(S, EPS)[0][n] - value).norm() <= 10 * EPS * conditioning


def test_the_formula_is_trusted_where_it_holds_and_nowhere_else(dtype):
    double_input = dtype is F64
    for name, M in CASES.items():
        _, s, _ = signed_svd(M)
        s = s * 3**0.5 / s.norm(dim=-1, keepdim=True)
        D = (s[:, 0] + s[:, 1]) * (s[:, 0] + s[:, 2]) * (s[:, 1] + s[:, 2])
        accepted = formula.nearest(formula.scaled(M.to(dtype))[0], double_input)[2].flatten()
        least = torch.full_like(D, formula.SMALLEST)
        if double_input:
            least = torch.maximum(5 * least, formula.SMALLEST_OF_TWO * (s[:, 1] + s[:, 2]))
        assert accepted[D > 1.1 * least].all(), name
        assert not accepted[D < 0.9 * least].any(), name
    M = singular(dtype)
    assert not formula.nearest(formula.scaled(M)[0], double_input)[2].any()
    assert is_rotation(svd_orthogonalize(M)).all()


@both_ways
def test_what_it_keeps_for_the_derivative_inverts_tr_H_minus_H(numba):
    M = gaussian(50, 3, 3)
    R, Z = function._by_loop(M) if numba else function._by_formula(M)
    H = R.mT @ M
    A = H.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None] * torch.eye(3) - (H + H.mT) / 2
    assert_near(R.mT @ Z @ A, torch.eye(3, dtype=F64).expand(50, 3, 3), 1e-12)


@pytest.mark.parametrize("bad", [(0.0, 0.0), (1.0, float("nan")), (1.0, float("inf"))])
@both_ways
def test_a_matrix_that_it_does_not_trust_leaves_the_others_as_they_were(
    numba, bad, dtype, monkeypatch
):
    if not numba:
        without_numba(monkeypatch)
    M, G = gaussian(40, 3, 3, dtype=dtype), gaussian(40, 3, 3, seed=1, dtype=dtype)
    R, gradient = with_gradient(M, G)
    damaged = M.clone()
    damaged[7] *= bad[0]
    damaged[7, 1, 2] += bad[1]
    others = torch.arange(40) != 7
    R2, gradient2 = with_gradient(damaged, G)
    assert equal((R[others], gradient[others]), (R2[others], gradient2[others]))
    assert R2[7].isfinite().all() == (bad[1] == 0)


def test_two_threads_give_what_one_gives(dtype):
    M, G = many(dtype)
    expected = with_gradient(M, G)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        found = with_gradient(M, G)
    finally:
        torch.set_num_threads(threads)
    assert equal(found, expected)


def test_python_threads_do_not_disturb_each_other():
    inputs = [gaussian(3000, 3, 3, seed=n) for n in range(4)]
    expected = [with_gradient(M, M.mT) for M in inputs]
    wrong = []

    def work(n):
        for _ in range(20):
            if not equal(with_gradient(inputs[n], inputs[n].mT), expected[n]):
                wrong.append(n)

    workers = [threading.Thread(target=work, args=[n]) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_results_of_an_earlier_call_are_not_overwritten():
    M = gaussian(20, 3, 3)
    found = with_gradient(M, M.mT)
    before = [x.clone() for x in found]
    with_gradient(gaussian(20, 3, 3, seed=1), M)
    assert equal(found, before)


def test_a_call_that_was_interrupted_leaves_later_ones_right():
    M, G = many()
    expected, threads = with_gradient(M, G), torch.get_num_threads()

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        torch.set_num_threads(2)
        for milliseconds in (1, 3, 7, 20):
            with pytest.raises(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, milliseconds / 1000)
                while True:
                    with_gradient(M, G)
            assert equal(with_gradient(M, G), expected)
    finally:
        torch.set_num_threads(threads)
        signal.signal(signal.SIGALRM, before)


class Projected(Dataset):
    """Does its work where it is loaded: in a worker."""

    def __len__(self):
        return 8

    def __getitem__(self, n):
        M = gaussian(3, 3, seed=n)
        return with_gradient(M, M.mT)


def test_workers_of_a_loader_are_forked_after_its_first_use():
    dataset = Projected()
    expected = [
        torch.stack(parts) for parts in zip(*map(dataset.__getitem__, range(8)), strict=True)
    ]
    loader = DataLoader(dataset, batch_size=2, num_workers=2, multiprocessing_context="fork")
    assert equal([torch.cat(parts) for parts in zip(*loader, strict=True)], expected)


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_computes_it_again(reentrant):
    M, G = gaussian(9, 3, 3), gaussian(9, 3, 3, seed=1)
    x = M.clone().requires_grad_()
    R = checkpoint(svd_orthogonalize, x, use_reentrant=reentrant)
    R.backward(G)
    assert equal((R, x.grad), with_gradient(M, G))


def test_autocast_around_value_and_gradient_changes_no_digit():
    M, G = gaussian(9, 3, 3).float(), gaussian(9, 3, 3, seed=1).float()
    expected = with_gradient(M, G), with_gradient(M, G, create_graph=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = with_gradient(M, G), with_gradient(M, G, create_graph=True)
        layer = torch.nn.Linear(4, 9)
        out = svd_orthogonalize(layer(torch.ones(2, 4)).unflatten(-1, (3, 3)))
        out.float().square().sum().backward()
    assert all(equal(*pair) for pair in zip(found, expected, strict=True))
    assert out.dtype == torch.bfloat16 and layer.weight.grad.isfinite().all()


LAYOUTS = {
    "transposed": (lambda M: M.mT, lambda G: G.mT),
    "batch last": (lambda M: M.permute(2, 1, 0), lambda G: G.permute(2, 1, 0)),
    "every second": (lambda M: M[::2], lambda G: G[1::2]),
    "expanded": (lambda M: M[:1].expand_as(M), lambda G: G),
    "gradient expanded": (lambda M: M, lambda G: G[:1, :1, :1].expand_as(G)),
    "minus sign to come": (
        lambda M: torch.complex(M, M).conj().imag,
        lambda G: torch.complex(G, G).conj().imag,
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@both_ways
def test_any_layout_of_memory_gives_the_same(numba, layout, dtype, monkeypatch):
    if not numba:
        without_numba(monkeypatch)
    of_input, of_gradient = LAYOUTS[layout]
    shape = (3, 3, 3) if layout == "batch last" else (30, 3, 3)
    M, G = gaussian(*shape, dtype=dtype), gaussian(*shape, seed=1, dtype=dtype)
    M, G = of_input(M), of_gradient(G)
    plain = with_gradient(M.clone(memory_format=torch.contiguous_format), G.contiguous())
    tolerance = 1e3 * torch.finfo(dtype).eps  # some take another way through the kernel
    for ours, expected in zip(with_gradient(M, G), plain, strict=True):
        size = max(1, expected.abs().max().item())
        assert_near(ours / size, expected / size, tolerance)


def test_a_default_device_elsewhere_does_not_move_it():
    M = gaussian(5, 3, 3)
    expected = with_gradient(M, M.mT)
    with torch.device("meta"):
        assert equal(with_gradient(M, M.mT), expected)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_goes_in_and_comes_out(half):
    M, G = gaussian(30, 3, 3).to(half), gaussian(30, 3, 3, seed=1).to(half)
    R, gradient = with_gradient(M, G)
    assert R.dtype == gradient.dtype == half
    value, expected = with_gradient(M.float(), G.float())
    assert_near(R, value, torch.finfo(half).eps)
    assert_near(gradient / expected.norm(), expected / expected.norm(), torch.finfo(half).eps)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@both_ways
def test_a_matrix_that_it_does_not_trust_may_be_in_half_precision(numba, half, monkeypatch):
    if not numba:
        without_numba(monkeypatch)
    M = torch.stack([EYE, 0 * EYE, -EYE, EYE * torch.nan]).to(half)
    R, gradient = with_gradient(M, torch.ones_like(M))
    assert is_rotation(R[:3].float(), tolerance=1e-2).all() and gradient[:3].isfinite().all()
    assert R[3].isnan().all()


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e150, 1e300])
@both_ways
def test_any_size_that_double_precision_holds(numba, scale, monkeypatch):
    if not numba:
        without_numba(monkeypatch)
    M = gaussian(20, 3, 3)
    assert_near(svd_orthogonalize(scale * M), svd_orthogonalize(M), 1e-10)


def test_tensors_without_numbers_have_a_shape_and_spoil_nothing():
    M = gaussian(9, 3, 3)
    expected = svd_orthogonalize(M)
    with FakeTensorMode() as mode:
        assert svd_orthogonalize(mode.from_tensor(M)).shape == M.shape
    assert svd_orthogonalize(torch.empty(2, 3, 3, device="meta")).shape == (2, 3, 3)
    assert torch.equal(svd_orthogonalize(M), expected)


def test_dual_numbers_may_meet_the_gradient_from_either_side():
    X, V, W = gaussian(4, 3, 3), gaussian(4, 3, 3, seed=1), gaussian(4, 3, 3, seed=2)

    def tangent_of_gradient(x_of, W):
        with forward_ad.dual_level():
            x = x_of(X.clone().requires_grad_())
            (gradient,) = torch.autograd.grad((svd_orthogonalize(x) * W(x)).sum(), x)
            return forward_ad.unpack_dual(gradient).tangent

    expected = jvp(grad(lambda x: (svd_orthogonalize(x) * W).sum()), (X,), (V,))[1]
    found = tangent_of_gradient(lambda x: forward_ad.make_dual(x, V), lambda _: W)
    assert_near(found, expected, 1e-12)
    found = tangent_of_gradient(lambda x: x, lambda _: forward_ad.make_dual(W, V))
    assert_near(found, with_gradient(X, V)[1], 1e-12)


def test_a_gradient_that_asks_for_a_gradient_is_a_gradient():
    M, G = gaussian(4, 3, 3), gaussian(4, 3, 3, seed=1)
    assert equal(with_gradient(M, G.clone().requires_grad_()), with_gradient(M, G))


def one_by_one(f):
    return lambda x: torch.stack([f(m).detach() for m in x])


def gradient_by_autograd(f):
    def gradient(x):
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            return torch.autograd.grad(f(x).sum(), x, create_graph=True)[0]

    return gradient


ORDERS = {
    "autograd": (gradient_by_autograd, gradient_by_autograd),
    "reverse over reverse": (jacrev, jacrev),
    "forward over reverse": (jacrev, jacfwd),
    "reverse over forward": (jacfwd, jacrev),
    "forward over forward": (jacfwd, jacfwd),
}


@pytest.mark.parametrize("mode", ORDERS)
@pytest.mark.parametrize(
    "name",
    [
        "Gaussian, det < 0",
        pytest.param("rotations", marks=pytest.mark.exhaustive),
        pytest.param("rank 2", marks=pytest.mark.exhaustive),
        pytest.param("n = 4", marks=pytest.mark.exhaustive),
    ],
)
def test_each_derivative_is_that_of_differences_of_the_one_before(name, mode):
    M = gaussian(4, 4) if name == "n = 4" else CASES[name][0]
    W, V = gaussian(*M.shape, seed=1), gaussian(*M.shape, seed=2)
    inner, outer = ORDERS[mode]
    each = one_by_one if mode == "autograd" else vmap

    def value(x):
        return (svd_orthogonalize(x) * W).sum()

    def first(x):
        return (inner(value)(x) * V).sum()

    def second(x):
        return (outer(first)(x) * W).sum()

    for differentiate, f in ((inner, value), (outer, first), (inner, second)):
        expected = central_differences(each(f), M, 2).reshape(M.shape)
        size = expected.abs().max().clamp(min=1)
        assert_near(differentiate(f)(M) / size, expected / size, 1e-8)


def test_the_hessian_is_the_same_without_numba(monkeypatch):
    M = gaussian(3, 3)
    expected = hessian(svd_orthogonalize)(M)
    without_numba(monkeypatch)
    assert_near(hessian(svd_orthogonalize)(M), expected, 1e-12)


def test_changing_the_result_in_place_does_not_spoil_the_gradient_unnoticed():
    M = gaussian(5, 3, 3).requires_grad_()
    R = svd_orthogonalize(M)
    R.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        R.sum().backward()


def test_importing_the_library_does_not_wait_for_numba():
    code = "import sys, rotlib; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_polynomial_is_the_cosine_of_a_third_of_the_angle():
    c = torch.linspace(-1, 1, 20_001, dtype=F64)
    assert_near(formula.cosine_of_a_third(c), torch.cos(torch.acos(c) / 3), 3e-15)
