"""The kernel behind the 3x3 projection: accuracy on hard matrices, memory that is used again."""

import contextlib
import threading

import pytest
import torch
from conftest import EYE, F64, assert_near, gaussian, rotations, seeded
from hard_cases import exact, hard_cases
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad

from rotlib import closed_form, is_rotation, svd_orthogonalize
from rotlib.orthogonalize import signed_svd

ITEMS = 12
CASES = hard_cases(ITEMS, seeded(1))
SINGULAR = [(0, 0, 0), (2, 0, 0), (-1, -1, -1), (1, 1, -1), (2, 1, -1), (1, 1e-9, -1e-9)]


def with_gradient(M, G, **options):
    M = M.detach().requires_grad_()
    R = svd_orthogonalize(M)
    return R.detach(), torch.autograd.grad(R, M, G, **options)[0].detach()


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_within_ten_times_the_conditioning_bound(name, dtype):
    """An error eps in M turns R by eps s1 / (s2 + s3): nobody can promise less than that."""
    M, G = CASES[name].to(dtype), gaussian(ITEMS, 3, 3, dtype=dtype)
    R, gradient = with_gradient(M, G)
    for m, g, r, ours in zip(M, G, R.double(), gradient.double(), strict=True):
        value, expected, conditioning, gap = exact(m, g)
        bound = torch.finfo(dtype).eps * conditioning
        assert (r - value).norm() <= 10 * bound
        assert (ours - expected).norm() <= 10 * bound * g.double().norm() * 2 / gap


def test_every_class_of_hard_matrices_is_there():
    assert len(CASES) == 27
    assert {torch.linalg.det(M[0]).sign().item() for M in CASES.values()} >= {-1, 1}


def test_the_formula_is_trusted_where_it_holds_and_nowhere_else(dtype):
    for name, M in CASES.items():
        _, s, _ = signed_svd(M)
        s = s * 3**0.5 / s.norm(dim=-1, keepdim=True)
        D = (s[:, 0] + s[:, 1]) * (s[:, 0] + s[:, 2]) * (s[:, 1] + s[:, 2])
        accepted = closed_form.nearest(M.to(dtype))[2]
        least = torch.full_like(D, closed_form.SMALLEST)
        if dtype is F64:
            two = closed_form.SMALLEST_OF_TWO * (s[:, 1] + s[:, 2])
            least = torch.maximum(5 * least, two)
        assert accepted[D > 1.1 * least].all(), name
        assert not accepted[D < 0.9 * least].any(), name
    diagonal = torch.diag_embed(torch.tensor(SINGULAR, dtype=dtype))
    turned = rotations(6, dtype=dtype) @ diagonal @ rotations(6, seed=1, dtype=dtype)
    assert not closed_form.nearest(torch.cat([diagonal, turned]))[2].any()
    assert is_rotation(svd_orthogonalize(turned)).all()


def test_what_it_returns_for_the_derivative_inverts_tr_H_minus_H():
    M = gaussian(50, 3, 3)
    R, minus_Z, _ = closed_form.nearest(M)
    H = R.mT @ M
    A = H.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None] * torch.eye(3) - (H + H.mT) / 2
    assert_near(-R.mT @ minus_Z @ A, torch.eye(3, dtype=F64).expand(50, 3, 3), 1e-12)


@pytest.mark.parametrize("bad", [(0.0, 0.0), (1.0, float("nan")), (1.0, float("inf"))])
def test_a_matrix_that_it_does_not_trust_leaves_the_others_as_they_were(bad, dtype):
    M, G = gaussian(40, 3, 3, dtype=dtype), gaussian(40, 3, 3, seed=1, dtype=dtype)
    R, gradient = with_gradient(M, G)
    damaged = M.clone()
    damaged[7] *= bad[0]
    damaged[7, 1, 2] += bad[1]
    others = torch.arange(40) != 7
    R2, gradient2 = with_gradient(damaged, G)
    assert torch.equal(R[others], R2[others])
    assert torch.equal(gradient[others], gradient2[others])
    assert R2[7].isfinite().all() == (bad[1] == 0)


def test_a_batch_of_many_chunks_is_its_chunks_one_by_one(dtype):
    size = closed_form.LANE_ON_CPU // dtype.itemsize
    M, G = gaussian(2 * size + 5, 3, 3, dtype=dtype), gaussian(2 * size + 5, 3, 3, dtype=dtype)
    whole = with_gradient(M, G)
    for part in (slice(0, size), slice(size, 2 * size), slice(2 * size, None)):
        assert all(
            torch.equal(w[part], p)
            for w, p in zip(whole, with_gradient(M[part], G[part]), strict=True)
        )


def test_results_of_an_earlier_call_are_not_overwritten():
    first, second = gaussian(20, 3, 3), gaussian(20, 3, 3, seed=1)
    R, minus_Z, accepted = closed_form.nearest(first)
    before = R.clone(), minus_Z.clone(), accepted.clone()
    closed_form.nearest(second)
    closed_form.differential(second, R, minus_Z)
    assert all(torch.equal(a, b) for a, b in zip(before, (R, minus_Z, accepted), strict=True))


def test_threads_do_not_share_memory():
    inputs = [gaussian(3000, 3, 3, seed=n) for n in range(4)]
    expected = [with_gradient(M, M.mT) for M in inputs]
    wrong = []

    def work(n):
        for _ in range(20):
            found = with_gradient(inputs[n], inputs[n].mT)
            if not all(torch.equal(a, b) for a, b in zip(found, expected[n], strict=True)):
                wrong.append(n)

    workers = [threading.Thread(target=work, args=[n]) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.parametrize("layout", ["transposed", "every second", "expanded", "gradient expanded"])
def test_any_layout_of_memory_gives_the_same(layout, dtype):
    M, G = gaussian(30, 3, 3, dtype=dtype), gaussian(30, 3, 3, seed=1, dtype=dtype)
    if layout == "transposed":
        M, G = M.mT, G.permute(0, 2, 1)
    elif layout == "every second":
        M, G = M[::2], G[1::2]
    elif layout == "expanded":
        M = M[:1].expand(30, 3, 3)
    else:
        G = torch.ones((), dtype=dtype).expand(30, 3, 3)
    plain = with_gradient(M.contiguous(), G.contiguous())
    assert all(torch.equal(a, b) for a, b in zip(with_gradient(M, G), plain, strict=True))


@pytest.mark.parametrize("name", ["rotations", "Gaussian, det < 0", "rank 2"])
def test_the_fast_derivative_is_the_one_that_can_be_differentiated_again(name):
    M, G = CASES[name], gaussian(ITEMS, 3, 3)
    fast, again = with_gradient(M, G), with_gradient(M, G, create_graph=True)
    assert_near(fast[1], again[1], 1e-13)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_goes_in_and_comes_out(half):
    M, G = gaussian(30, 3, 3).to(half), gaussian(30, 3, 3, seed=1).to(half)
    R, gradient = with_gradient(M, G)
    assert R.dtype == gradient.dtype == half
    value, expected = with_gradient(M.float(), G.float())
    assert_near(R, value, torch.finfo(half).eps)
    assert_near(gradient / expected.norm(), expected / expected.norm(), torch.finfo(half).eps)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_a_matrix_that_it_does_not_trust_may_be_in_half_precision(half):
    M = torch.stack([EYE, 0 * EYE, -EYE, EYE * torch.nan]).to(half)
    R, gradient = with_gradient(M, torch.ones_like(M))
    assert is_rotation(R[:3].float(), tolerance=1e-2).all() and gradient[:3].isfinite().all()
    assert R[3].isnan().all()


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e150, 1e300])
def test_any_size_that_double_precision_holds(scale):
    M = gaussian(20, 3, 3)
    assert_near(svd_orthogonalize(scale * M), svd_orthogonalize(M), 1e-10)


def test_tracing_without_numbers_spoils_nothing():
    """A tracer passes tensors without memory; what it leaves must not be worked on later."""

    class Net(torch.nn.Module):
        def forward(self, x):
            return svd_orthogonalize(x)

    M = gaussian(9, 3, 3)
    expected = svd_orthogonalize(M)
    with contextlib.suppress(Exception):  # whether it can be exported is not the point
        torch.export.export(Net(), (M,))
    with FakeTensorMode() as mode:
        assert svd_orthogonalize(mode.from_tensor(M)).shape == M.shape
    assert torch.equal(svd_orthogonalize(M), expected)


def test_forward_over_reverse_by_dual_numbers_is_the_second_derivative():
    X, V, W = gaussian(4, 3, 3), gaussian(4, 3, 3, seed=1), gaussian(4, 3, 3, seed=2)

    def loss(x):
        return (svd_orthogonalize(x * x) * W).sum()

    expected = torch.func.jvp(torch.func.grad(loss), (X,), (V,))[1]
    with forward_ad.dual_level():
        x = forward_ad.make_dual(X.clone().requires_grad_(), V)
        (gradient,) = torch.autograd.grad(loss(x), x)
        found = forward_ad.unpack_dual(gradient).tangent
    assert_near(found, expected, 1e-9)


def test_a_call_in_the_middle_of_a_call_has_its_own_memory(monkeypatch):
    M, other = gaussian(10, 3, 3), gaussian(10, 3, 3, seed=1)
    expected, original, calls = svd_orthogonalize(M), closed_form._trace, []

    def interrupted(room):
        original(room)
        if not calls:
            calls.append(1)
            svd_orthogonalize(other)

    monkeypatch.setattr(closed_form, "_trace", interrupted)
    assert torch.equal(svd_orthogonalize(M), expected) and calls


def test_without_a_device_to_compute_on_there_is_a_shape():
    assert svd_orthogonalize(torch.empty(2, 3, 3, device="meta")).shape == (2, 3, 3)


def test_changing_the_result_in_place_does_not_spoil_the_gradient_unnoticed():
    M = gaussian(5, 3, 3).requires_grad_()
    R = svd_orthogonalize(M)
    R.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        R.sum().backward()


@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_a_compiled_function_may_use_it():
    def loss(M):
        return (svd_orthogonalize(2 * M) - M).square().sum()

    M = gaussian(20, 3, 3).requires_grad_()
    compiled = torch.compile(loss, backend="eager")
    assert_near(compiled(M), loss(M), 1e-12)
    gradients = (torch.autograd.grad(f(M), M)[0] for f in (compiled, loss))
    assert_near(*gradients, 1e-12)
