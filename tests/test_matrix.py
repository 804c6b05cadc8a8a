"""SO(3) as matrices: membership, uniform draws, hat and vee."""

import math

import pytest
import torch
from conftest import EYE, F64, HALF_TURNS, assert_near, gaussian, hard_rotations, rotations, seeded
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rotlib import hat, is_rotation, random_rotations, vee

vectors = st.lists(st.floats(-100, 100), min_size=3, max_size=3).map(
    lambda entries: torch.tensor(entries, dtype=F64)
)


@given(vectors, vectors)
def test_hat_is_the_cross_product(w, x):
    assert_near(hat(w) @ x, torch.linalg.cross(w, x), 1e-11)


@given(vectors)
def test_vee_undoes_hat_to_the_last_bit(w):
    assert torch.equal(vee(hat(w)), w)


def test_vee_ignores_a_symmetric_part():
    w, S = gaussian(3), gaussian(3, 3, seed=1)
    assert_near(vee(hat(w) + S + S.mT), w, 1e-14)


def test_hat_turns_with_its_vector():
    R, w = rotations(20), gaussian(20, 3)
    assert_near(R @ hat(w) @ R.mT, hat((R @ w[..., None]).squeeze(-1)), 1e-14)


def test_hat_is_antisymmetric_and_right_handed():
    x, y, z = EYE
    assert torch.equal(hat(z) @ x, y)
    assert torch.equal(hat(x), -hat(x).mT)


def test_every_hard_rotation_is_a_rotation(dtype):
    assert is_rotation(hard_rotations().to(dtype)).all()


@pytest.mark.parametrize(
    "not_a_rotation",
    [
        -EYE,
        torch.diag(torch.tensor([1.0, 1, -1], dtype=F64)),
        2 * EYE,
        0 * EYE,
        EYE + 1e-5 * torch.ones(3, 3, dtype=F64),
        EYE * math.nan,
        EYE * math.inf,
        torch.diag(torch.tensor([2.0, 0.5, 1], dtype=F64)),
    ],
)
def test_what_is_no_rotation(not_a_rotation):
    batch = torch.stack([EYE, not_a_rotation, HALF_TURNS[0]])
    assert is_rotation(batch).tolist() == [True, False, True]


def test_tolerance_is_on_the_entries_of_the_gram_matrix():
    sheared = EYE + 1e-3 * torch.tensor([[0.0, 1, 0], [0, 0, 0], [0, 0, 0]], dtype=F64)
    assert is_rotation(sheared, tolerance=1.01e-3)
    assert not is_rotation(sheared, tolerance=0.99e-3)


@pytest.mark.parametrize("n", [1, 2, 4, 6])
def test_membership_in_any_dimension(n):
    Q = torch.linalg.qr(gaussian(n, n)).Q
    proper = Q * torch.where(torch.arange(n) == 0, torch.linalg.det(Q).sign(), 1.0)
    assert is_rotation(proper)
    proper[:, 0] *= -1
    assert not is_rotation(proper)


def test_random_rotations_are_rotations(dtype):
    R = random_rotations(100, generator=seeded(), dtype=dtype)
    assert R.dtype == dtype
    assert is_rotation(R).all()


def test_the_generator_decides_the_draw():
    once, again = rotations(5, seed=1), rotations(5, seed=1)
    assert torch.equal(once, again)
    assert not torch.equal(once, rotations(5, seed=2))


def test_a_generator_leaves_the_global_state_alone(generator):
    before = torch.get_rng_state()
    random_rotations(5, generator=generator)
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_generator_the_global_seed_decides():
    draws = []
    with torch.random.fork_rng():
        for _ in range(2):
            torch.manual_seed(3)
            draws.append(random_rotations(4))
    assert torch.equal(*draws)
    assert draws[0].dtype == torch.get_default_dtype()


def test_no_rotations_and_fewer():
    assert random_rotations(0).shape == (0, 3, 3)
    with pytest.raises(ValueError, match="n >= 0, got -1"):
        random_rotations(-1)


def test_a_shape_draws_the_same_rotations_in_that_shape():
    grid = random_rotations((4, 5), generator=seeded(), dtype=F64)
    assert torch.equal(grid, rotations(20).reshape(4, 5, 3, 3))
    assert random_rotations(()).shape == (3, 3)
    assert random_rotations([2, 0]).shape == (2, 0, 3, 3)
    with pytest.raises(ValueError, match=r"n >= 0, got \(2, -1\)"):
        random_rotations((2, -1))


def test_draws_are_uniform_in_angle():
    """Haar measure on SO(3): P(angle <= t) = (t - sin t) / pi."""
    R = rotations(20_000)
    trace = R.diagonal(dim1=-2, dim2=-1).sum(-1)
    angle = torch.acos(((trace - 1) / 2).clamp(-1, 1)).numpy()
    assert (
        stats.kstest(angle, lambda t: (t - torch.sin(torch.as_tensor(t)).numpy()) / math.pi)[1]
        > 1e-3
    )


def test_draws_have_the_moments_of_haar_measure():
    """Means 0, second moments 1/3 on the diagonal and 0 off it; so a turned sample looks alike."""
    R = rotations(40_000).flatten(1)
    assert_near(R.mean(0), torch.zeros(9, dtype=F64), 0.015)
    assert_near(R.mT @ R / len(R), torch.eye(9, dtype=F64) / 3, 0.015)
