"""Every map through the tracers, exporters and compilers of PyTorch, at another batch size."""

import io

import pytest
import torch
from conftest import assert_near, gaussian, rotations
from test_input import FUNCTIONS, NO_TENSOR_INPUT

import rotlib

# What tracers say about themselves is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")


def with_translation(R, t):
    return torch.cat([R, t[..., None]], -1)


# Functions of two tensors; test_input.py holds the second one fixed.
PAIRS = {
    "geodesic_distance": rotlib.geodesic_distance,
    "chordal_distance": rotlib.chordal_distance,
    "geodesic_distance_naive": rotlib.geodesic_distance_naive,
    "quaternion_multiply": rotlib.quaternion_multiply,
    "slerp": lambda p, q: rotlib.slerp(p, q, 0.3),
    "kabsch": lambda p, q: with_translation(*rotlib.kabsch(p, q)),
}
MAPS = [name for name in FUNCTIONS if name not in NO_TENSOR_INPUT]
#: The maps that a network ends in, and one back: what every run of the tests passes through.
USUAL = ["svd_orthogonalize", "rot6d_to_matrix", "rotvec_to_matrix", "matrix_to_quaternion"]
NO_SVD = "ONNX has no singular value decomposition"
NO_DETERMINANT = "onnxruntime has no determinant in single precision for batches"
NO_HYPOT = "PyTorch's exporters do not know torch.hypot"
NO_ARCTANGENT = "onnxruntime has no arctangent in double precision, in which means are taken"
OWN_BACKWARD = "the older exporter cannot look into a backward of one's own"
#: What cannot be, and why. Everything else must.
CANNOT = {
    ("onnx", "is_rotation"): NO_DETERMINANT,
    ("onnx", "svd_orthogonalize_autograd"): NO_SVD,
    ("onnx", "svd_orthogonalize_clamped"): OWN_BACKWARD,
    ("onnx", "svd_orthogonalize_taylor"): OWN_BACKWARD,
    ("onnx", "svd_jacobian"): NO_SVD,
    ("onnx", "svd_jacobian_spectrum"): NO_SVD,
    ("onnx", "svd_condition_number"): NO_SVD,
    ("onnx", "gram_schmidt_spectrum"): NO_HYPOT,
    ("onnx", "geodesic_mean"): NO_ARCTANGENT,
    ("onnx_by_dynamo", "is_rotation"): NO_DETERMINANT,
    ("onnx_by_dynamo", "svd_orthogonalize_autograd"): NO_SVD,
    ("onnx_by_dynamo", "svd_orthogonalize_clamped"): NO_SVD,
    ("onnx_by_dynamo", "svd_orthogonalize_taylor"): NO_SVD,
    ("onnx_by_dynamo", "svd_jacobian"): NO_SVD,
    ("onnx_by_dynamo", "svd_jacobian_spectrum"): NO_SVD,
    ("onnx_by_dynamo", "svd_condition_number"): NO_SVD,
    ("onnx_by_dynamo", "gram_schmidt_spectrum"): NO_HYPOT,
}
#: A loop of means: its graph has thousands of operations, and takes minutes each way.
LARGE = {"geodesic_mean"}


class Net(torch.nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, *x):
        return self.f(*x)


def function(name):
    return PAIRS[name] if name in PAIRS else FUNCTIONS[name][0]


def inputs(name, n):
    """Float32 input for ``n`` items; another ``n``, other numbers."""
    event = FUNCTIONS[name][1]
    if event == (3, 3) and "svd" not in name:
        x = [rotations(n, seed=n + k, dtype=torch.float32) for k in range(2)]
    else:
        x = [gaussian(n, *event, seed=n + k, dtype=torch.float32) for k in range(2)]
    return tuple(x if name in PAIRS else x[:1])


def dynamic(x):
    return {"x": tuple({0: torch.export.Dim("n", min=2, max=4096)} for _ in x)}


def traced(f, x):
    return torch.jit.trace(Net(f), x, check_trace=False)


def exported(f, x, strict=False):
    return torch.export.export(Net(f), x, dynamic_shapes=dynamic(x), strict=strict).module()


def exported_strictly(f, x):
    return exported(f, x, strict=True)


def onnx(f, x):
    file, names = io.BytesIO(), [f"x{n}" for n in range(len(x))]
    axes = {name: {0: "n"} for name in names}
    torch.onnx.export(
        Net(f), x, file, dynamo=False, input_names=names, dynamic_axes=axes, opset_version=18
    )
    return run_onnx(file.getvalue())


def onnx_by_dynamo(f, x):
    program = torch.onnx.export(Net(f), x, dynamo=True, dynamic_shapes=dynamic(x), verbose=False)
    return run_onnx(program.model_proto.SerializeToString())


def run_onnx(model):
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [x.name for x in session.get_inputs()]

    def run(*x):
        feed = {name: v.numpy() for name, v in zip(names, x, strict=True)}
        return torch.from_numpy(session.run(None, feed)[0])

    return run


def compiled(f, x, backend="aot_eager"):
    torch._dynamo.reset()
    return torch.compile(f, backend=backend, fullgraph=True)


def compiled_by_inductor(f, x):
    return compiled(f, x, "inductor")


FAST = [traced, exported, onnx, compiled]
SLOW = [exported_strictly, onnx_by_dynamo, compiled_by_inductor]


def check(way, name):
    f, x, other = function(name), inputs(name, 7), inputs(name, 5)
    if (way.__name__, name) in CANNOT:
        with pytest.raises(Exception):  # noqa: B017 - each tracer has its own
            way(f, x)(*other)
        return
    expected = f(*other)
    scale = max(1, expected.double().abs().max().item())
    assert_near(way(f, x)(*other) / scale, expected / scale, 1e-5, name)


@pytest.mark.parametrize("name", USUAL)
@pytest.mark.parametrize("way", FAST, ids=lambda way: way.__name__)
def test_the_usual_maps_pass(way, name):
    check(way, name)


def case(way, name):
    """Two processes that let inductor compile at the same time disturb each other."""
    marks = [pytest.mark.xdist_group("inductor")] * (way is compiled_by_inductor)
    return pytest.param(way, name, id=f"{way.__name__}-{name}", marks=marks)


CASES = [case(way, name) for way in (*FAST, *SLOW) for name in MAPS]


@pytest.mark.exhaustive
@pytest.mark.parametrize(("way", "name"), CASES)
def test_every_map_passes(way, name):
    if name in LARGE and way in SLOW:
        pytest.skip("a graph of thousands of operations")
    check(way, name)


def loss_of(f, weight, x, target):
    return (f(x @ weight) - target).square().mean()


def step_by_grad(f, weight, x, target):
    (gradient,) = torch.autograd.grad(loss_of(f, weight, x, target), weight)
    return weight.detach() - 0.1 * gradient


def step_by_backward(f, weight, x, target):
    loss = loss_of(f, weight, x, target)
    loss.backward()
    return loss.detach()


HEADS = {
    "svd": (rotlib.rot9d_to_matrix, 9),
    "unit gains": (lambda x: rotlib.svd_orthogonalize_unit_gains(x.unflatten(-1, (3, 3))), 9),
    "10d": (rotlib.rot10d_to_matrix, 10),
    "6d": (rotlib.rot6d_to_matrix, 6),
}
heads = pytest.mark.parametrize("head", HEADS)
inductor = pytest.param("inductor", marks=pytest.mark.xdist_group("inductor"))
backends = pytest.mark.parametrize("backend", ["aot_eager", inductor])


@pytest.mark.exhaustive
@heads
@backends
def test_a_training_step_compiles(head, backend):
    """The loss alone, and a whole step that takes the gradient by itself."""
    f, n = HEADS[head]
    start = gaussian(4, n, seed=3, dtype=torch.float32)
    x, target = gaussian(6, 4, dtype=torch.float32), rotations(6, dtype=torch.float32)

    def results(step):
        weight = start.clone().requires_grad_()
        value = step(f, weight, x, target)
        if value.requires_grad:
            value.backward()
        return value.detach(), torch.zeros(()) if weight.grad is None else weight.grad

    for step in (loss_of, step_by_grad, step_by_backward):
        with torch._dynamo.config.patch(trace_autograd_ops=step is not loss_of):
            found = results(compiled(step, x, backend))
        for ours, theirs in zip(found, results(step), strict=True):
            assert_near(ours, theirs, 1e-4)


def transforms(f, target):
    """What ``torch.func`` makes of ``f``: all of them, for one compilation."""
    func = torch.func

    def loss(x):
        return ((f(x) - target) ** 2).sum()

    def all_of(x, v):
        return (
            func.grad(loss)(x[0]),
            func.vmap(func.grad(loss))(x),
            func.vmap(f)(x),
            func.jvp(f, (x,), (v,))[1],
            func.jacrev(f)(x[0]),
            func.jacfwd(f)(x[0]),
            func.hessian(loss)(x[0]),
        )

    return all_of


@pytest.mark.exhaustive
@heads
@backends
def test_transforms_inside_what_is_compiled(head, backend):
    if backend == "inductor" and head in ("unit gains", "10d"):
        pytest.skip("minutes each, of what `svd` compiles as well")
    f, n = HEADS[head]
    all_of = transforms(f, rotations(1, dtype=torch.float32)[0])
    x, v = (gaussian(3, n, seed=seed, dtype=torch.float32) for seed in (1, 2))
    for ours, theirs in zip(compiled(all_of, x, backend)(x, v), all_of(x, v), strict=True):
        scale = max(1, theirs.abs().max().item())
        assert_near(ours / scale, theirs / scale, 1e-4)


def test_exceptions_name_maps_and_ways_that_exist():
    ways = {way.__name__ for way in (*FAST, *SLOW)}
    assert all(way in ways and name in MAPS for way, name in CANNOT)
