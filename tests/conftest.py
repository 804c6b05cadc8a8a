"""Shared by all tests: seeded randomness, the hard points, two helpers, the markers."""

import itertools
import math
import os
from pathlib import Path

import hypothesis
import pytest
import torch

import rotlib

torch.set_num_threads(1)
hypothesis.settings.register_profile(
    "rotlib", deadline=None, database=None, derandomize=True, max_examples=60
)
hypothesis.settings.load_profile("rotlib")

F64 = torch.float64
DTYPES = torch.float32, F64
EYE = torch.eye(3, dtype=F64)
_SIGNS = [signs for signs in itertools.product((-1.0, 0.0, 1.0), repeat=3) if any(signs)]
# The centres of a cube's faces, edges and corners: 26 unit vectors.
AXES = torch.nn.functional.normalize(torch.tensor(_SIGNS, dtype=F64), dim=-1)
HALF_TURNS = 2 * AXES[:, :, None] * AXES[:, None, :] - EYE


def pytest_configure(config):
    config.addinivalue_line("markers", "exhaustive: left to make test-all")
    config.addinivalue_line("markers", "xdist_group(name): tests that share a worker, if there are")
    wanted = os.environ.get("ROTLIB_UNDER_TEST")
    if wanted and not Path(rotlib.__file__).is_relative_to(wanted):
        raise pytest.UsageError("the rotlib that was imported is not the copy under test")
    # Numba looks at the date of loop.py alone, and not of the constants that it takes from there.
    folder = Path(rotlib.__file__).parent / "_nearest"
    changed = (folder / "formula.py").stat().st_mtime
    for kept in folder.glob("__pycache__/loop.*.nb?"):
        if kept.stat().st_mtime < changed:
            kept.unlink(missing_ok=True)


def seeded(seed=0):
    """A generator of random numbers that no other test has drawn from."""
    return torch.Generator().manual_seed(seed)


def gaussian(*shape, seed=0, dtype=F64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def rotations(n, seed=0, dtype=F64):
    return rotlib.random_rotations(n, generator=seeded(seed), dtype=dtype)


def from_singular_values(*s):
    """A matrix with these signed singular values and no zeros, ``(1, 3, 3)``."""
    U, V = rotations(2, seed=7)
    return (U @ torch.diag(torch.tensor(s, dtype=F64)) @ V.mT)[None]


def hard_matrices():
    """Where naive derivatives of the nearest rotation fail, and the exact one exists."""
    noise = gaussian(1, 3, 3, seed=8)
    return {
        "identity": EYE[None],
        "1e-7 from the identity": EYE + 1e-7 * noise,
        "rotations": rotations(5),
        "1e-7 from rotations": rotations(5) + 1e-7 * noise,
        "half turns": HALF_TURNS,
        "large": 1e20 * noise,
        "small": 1e-20 * noise,
        "two largest equal": from_singular_values(2, 2, 1),
        "two smallest equal": from_singular_values(2, 1, 1),
        "1e-7 apart": from_singular_values(1 + 1e-7, 1, 1 - 1e-7),
        "negative determinant": from_singular_values(3, 2, -1),
        "negative determinant, two largest equal": from_singular_values(2, 2, -1),
        "rank 2": from_singular_values(3, 2, 0),
        "rank 2, exactly": torch.diag(torch.tensor([3.0, 2, 0], dtype=F64))[None],
    }


def singular_matrices():
    """Where the nearest rotation is not unique, exactly in floating point."""
    diagonals = {
        "zero": (0, 0, 0),
        "rank 1": (2, 0, 0),
        "minus the identity": (-1, -1, -1),
        "reflection": (1, 1, -1),
        "negative determinant, two smallest equal": (2, 1, -1),
    }
    return {name: torch.diag(torch.tensor(d, dtype=F64)) for name, d in diagonals.items()}


def hard_rotations():
    """Where conversions divide by zero, lose digits or jump: ``(n, 3, 3)``."""
    turns = torch.tensor([0, 1e-12, 1e-7, 1e-4, math.pi - 1e-4, math.pi - 1e-7], dtype=F64)
    near = rotlib.rotvec_to_matrix((turns[:, None, None] * AXES).flatten(0, 1))
    return torch.cat([EYE[None], near, HALF_TURNS, rotations(50)])


def central_differences(f, x, event_dims, step=1e-3):
    """Jacobian ``(*batch, outputs, inputs)`` by the five-point stencil: error of order step^4."""
    batch, event = x.shape[: x.dim() - event_dims], x.shape[x.dim() - event_dims :]
    unit = torch.eye(event.numel(), dtype=x.dtype).reshape(-1, *[1] * len(batch), *event)

    def at(steps):
        return f(x + steps * step * unit).reshape(event.numel(), *batch, -1).movedim(0, -1)

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)


def assert_near(actual, expected, tolerance, message=""):
    """Equal shapes, and no entry further apart than ``tolerance``; NaN is never near."""
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    gap = (actual.double() - expected.double()).abs().max().item() if actual.numel() else 0.0
    assert gap <= tolerance, f"{message} gap {gap:.3g} exceeds {tolerance:g}"


@pytest.fixture
def generator():
    return seeded()


@pytest.fixture(params=DTYPES, ids=["float32", "float64"])
def dtype(request):
    return request.param
