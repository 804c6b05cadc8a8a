"""Speed of the nearest rotation, side by side in one run: ``make bench``. Nothing is asserted."""

import time

import pytest
import torch
from methods import METHODS, scipy_from_matrix, warp_svd3

from rotlib.experiments.networks import PointNet, mlp

BATCHES = (1, 8, 32, 64, 256, 512, 4096, 100_000)
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
TRAINED_THROUGH = {name: METHODS[name] for name in ("rotlib", "SVD + autograd", "RoMa")}
TRAINED_THROUGH["no projection"] = lambda M: M


def matrices(batch, dtype, device, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, 3, generator=generator, dtype=torch.float64).to(device, dtype)


def forward(f, M):
    with torch.no_grad():
        f(M)


def forward_and_backward(f, M, G):
    x = M.detach().requires_grad_()
    torch.autograd.grad(f(x), x, G)


def measure(benchmark, call, *arguments, seconds=0.6, device="cpu", **labels):
    """Rounds of calls; the fewer calls to a round the longer they take."""

    def once():
        call(*arguments)
        if device == "cuda":
            torch.cuda.synchronize()

    once()
    took = min(timed(once) for _ in range(3))
    iterations = max(1, int(2e-3 / took))
    rounds = max(5, int(seconds / (took * iterations)))
    benchmark.extra_info.update(device=device, **labels)
    benchmark.pedantic(once, iterations=iterations, rounds=min(rounds, 300), warmup_rounds=1)


def timed(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


@pytest.fixture(autouse=True)
def threads(request):
    wanted = request.param if hasattr(request, "param") else 1
    before = torch.get_num_threads()
    torch.set_num_threads(wanted)
    yield wanted
    torch.set_num_threads(before)


def both(benchmark, direction, f, batch, dtype, device, **labels):
    M, G = matrices(batch, dtype, device), matrices(batch, dtype, device, seed=1)
    labels |= {"batch": batch, "dtype": str(dtype).removeprefix("torch."), "direction": direction}
    if direction == "forward":
        measure(benchmark, forward, f, M, device=device, **labels)
    else:
        measure(benchmark, forward_and_backward, f, M, G, device=device, **labels)


DIRECTIONS = pytest.mark.parametrize("direction", ["forward", "forward + backward"])
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch", BATCHES)
@DTYPES
@DIRECTIONS
@pytest.mark.parametrize("name", METHODS)
def test_eager(benchmark, device, batch, dtype, direction, name):
    both(benchmark, direction, METHODS[name], batch, dtype, device, method=name, threads=1)


@pytest.mark.parametrize("threads", [2], indirect=True)
@pytest.mark.parametrize("batch", [64, 4096, 100_000])
@pytest.mark.parametrize("name", METHODS)
def test_two_threads(benchmark, threads, batch, name):
    f = METHODS[name]
    both(benchmark, "forward + backward", f, batch, torch.float32, "cpu", method=name, threads=2)


@pytest.mark.parametrize("batch", [64, 4096, 100_000])
def test_warp(benchmark, batch):
    f = warp_svd3()
    if f is None:
        pytest.skip("warp-lang is not installed")
    both(benchmark, "forward", f, batch, torch.float32, "cpu", method="Warp svd3", threads=1)


@pytest.mark.parametrize("batch", [4096])
@pytest.mark.parametrize("name", ["rotlib", "SVD + autograd", "RoMa"])
def test_compiled(benchmark, batch, name):
    torch.compiler.reset()
    f = torch.compile(METHODS[name])
    labels = {"method": f"{name}, compiled", "threads": 1}
    both(benchmark, "forward + backward", f, batch, torch.float32, "cpu", **labels)


@pytest.mark.parametrize("batch", [64, 4096, 100_000])
def test_scipy(benchmark, batch):
    M = matrices(batch, torch.float64, "cpu")
    M *= torch.linalg.det(M).sign()[:, None, None]
    labels = {"batch": batch, "dtype": "float64", "direction": "forward", "threads": 1}
    measure(benchmark, scipy_from_matrix, M, method="SciPy", **labels)


@pytest.mark.parametrize("network", ["MLP", "PointNet"])
@pytest.mark.parametrize("batch", [32, 256, 2048])
@pytest.mark.parametrize("name", TRAINED_THROUGH)
def test_training_step(benchmark, network, batch, name):
    """A whole step of Adam on the networks of chapter 14: the share of the projection in it."""
    torch.manual_seed(0)
    torch.set_flush_denormal(True)  # a loss that has reached zero would slow the clock
    net, shape = (mlp(48, 9), (48,)) if network == "MLP" else (PointNet(9), (64, 3))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
    inputs, target = torch.randn(batch, *shape), matrices(batch, torch.float32, "cpu")
    project = TRAINED_THROUGH[name]

    def step():
        optimizer.zero_grad()
        (project(net(inputs).view(-1, 3, 3)) - target).square().sum((-2, -1)).mean().backward()
        optimizer.step()

    labels = {"batch": batch, "dtype": "float32", "direction": f"training step, {network}"}
    measure(benchmark, step, method=name, threads=1, seconds=3, **labels)
