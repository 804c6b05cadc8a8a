"""Confidence: what the two smallest singular values say, and measures of how well they rank."""

import math

import numpy as np
import pytest
import torch
from conftest import (
    F64,
    assert_near,
    from_singular_values,
    gaussian,
    hard_rotations,
    rotations,
    singular_matrices,
)
from scipy.stats import spearmanr

from rotlib.experiments.confidence import (
    CONFIDENCE_COLUMNS,
    COVERAGES,
    confidence,
    measure_confidence,
    rank_correlation,
    risk_coverage,
)


def documented_confidence(M):
    """By NumPy: the last singular value has the sign of the determinant."""
    s = np.linalg.svd(M.numpy(), compute_uv=False)
    return torch.from_numpy(s[..., 1] + np.sign(np.linalg.det(M.numpy())) * s[..., 2])


def test_it_is_the_sum_of_the_two_smallest_signed_singular_values(dtype):
    M = gaussian(200, 3, 3)
    assert (torch.linalg.det(M) < 0).any()
    ours = confidence(M.to(dtype))
    assert ours.dtype == dtype
    assert_near(ours, documented_confidence(M), 1e-14 if dtype == F64 else 2e-6)
    assert_near(confidence(from_singular_values(3, 2, -0.5)), torch.tensor([1.5]), 1e-14)


def test_rotations_have_two(dtype):
    R = hard_rotations().to(dtype)
    assert_near(confidence(R), torch.full((len(R),), 2.0), 1e-14 if dtype == F64 else 2e-6)


@pytest.mark.parametrize("name", singular_matrices())
def test_where_the_nearest_rotation_is_not_unique_there_is_none(name):
    M = rotations(20) @ singular_matrices()[name] @ rotations(20, seed=1)
    assert_near(confidence(M), torch.zeros(20), 1e-14)


def test_it_is_never_negative():
    assert confidence(gaussian(2000, 3, 3)).min() > 0
    ranks = [from_singular_values(*s) for s in [(1, 1, -1), (5, 1, -1), (9, 0, 0), (0, 0, 0)]]
    assert_near(confidence(torch.cat(ranks)), torch.zeros(4), 1e-14)


def test_turning_changes_nothing_and_scaling_scales():
    M = gaussian(50, 3, 3)
    assert_near(confidence(rotations(50) @ M @ rotations(50, seed=1)), confidence(M), 1e-14)
    for scale in (1e-20, 0.1, 7.0, 1e20):
        assert_near(confidence(scale * M) / scale, confidence(M), 1e-13)


def test_nan_stays_in_its_item(dtype):
    M = gaussian(3, 3, 3, dtype=dtype)
    clean = confidence(M)
    M[1, 2, 0] = math.nan
    assert torch.equal(confidence(M)[[0, 2]], clean[[0, 2]])
    assert confidence(M)[1].isnan()


def test_any_batch_and_nothing_but_matrices():
    assert confidence(gaussian(2, 5, 3, 3)).shape == (2, 5)
    assert confidence(gaussian(3, 3)).shape == ()
    assert confidence(gaussian(0, 3, 3)).shape == (0,)
    with pytest.raises(ValueError, match=r"^confidence expects shape \(\.\.\., 3, 3\), got \(9,\)"):
        confidence(gaussian(9))


@pytest.mark.parametrize("n", [2, 3, 10, 501])
def test_rank_correlation_is_scipys(n):
    x, noise = gaussian(2, 4, n), gaussian(2, 4, n, seed=1)
    y = x + torch.linspace(0, 3, 4)[:, None] * noise
    ours = rank_correlation(x, y)
    assert ours.dtype == F64 and ours.shape == (2, 4)
    for k in np.ndindex(2, 4):
        assert ours[k].item() == pytest.approx(spearmanr(x[k], y[k]).statistic, abs=1e-12)


def test_equal_numbers_share_their_mean_rank():
    x = torch.tensor([[1.0, 2, 2, 3, 3, 3], [5, 4, 4, 2, 1, 1]])
    y = torch.tensor([[1.0, 1, 2, 2, 5, 4], [0, 0, 0, 1, 2, 3]])
    ours = rank_correlation(x, y)
    for k in range(2):
        assert ours[k].item() == pytest.approx(spearmanr(x[k], y[k]).statistic, abs=1e-12)


def test_there_is_no_rank_correlation_of_one_number_or_of_equal_ones():
    assert rank_correlation(torch.ones(2, 5), gaussian(2, 5)).isnan().all()
    assert rank_correlation(gaussian(2, 1), gaussian(2, 1)).isnan().all()
    assert rank_correlation(gaussian(2, 0), gaussian(2, 0)).isnan().all()


def test_rank_correlation_is_nan_where_a_number_is_not_finite():
    x, y = gaussian(3, 8), gaussian(3, 8, seed=1)
    x[0, 2], y[2, 5] = math.inf, math.nan
    assert rank_correlation(x, y).isnan().tolist() == [True, False, True]


def test_rank_correlation_sees_order_alone():
    x = gaussian(30)
    assert rank_correlation(x, x.exp()).item() == pytest.approx(1)
    assert rank_correlation(x.float(), -(x**3)).item() == pytest.approx(-1)


def documented_risk(errors, confidences):
    """For each number of items kept, the mean error of the most confident."""
    by_confidence = sorted(zip(confidences.tolist(), errors.tolist(), strict=True), reverse=True)
    kept = [error for _, error in by_confidence]
    return torch.tensor([sum(kept[: k + 1]) / (k + 1) for k in range(len(kept))], dtype=F64)


def test_risk_is_that_of_a_slow_loop(dtype):
    errors, sure = gaussian(3, 2, 40, dtype=dtype).abs(), gaussian(3, 2, 40, seed=1, dtype=dtype)
    ours = risk_coverage(errors, sure)
    assert ours.dtype == F64 and ours.shape == (3, 2, 40)
    for k in np.ndindex(3, 2):
        assert_near(ours[k], documented_risk(errors[k], sure[k]), 1e-13)


def test_risk_ends_at_the_mean_error_and_no_ranking_is_lower_than_the_perfect_one():
    errors = gaussian(30).abs()
    perfect = risk_coverage(errors, -errors)
    assert_near(perfect[-1], errors.mean(), 1e-14)
    assert (perfect.diff() > 0).all()
    for seed in range(20):
        other = risk_coverage(errors, gaussian(30, seed=seed + 1))
        assert (other >= perfect - 1e-14).all()
        assert_near(other[-1], errors.mean(), 1e-14)
    assert (risk_coverage(errors, errors) >= perfect - 1e-14).all()


@pytest.mark.parametrize("n", [10, 37, 2048])
def test_the_columns_are_the_rank_correlation_and_the_risk_at_ten_coverages(n):
    errors, M = 50 * gaussian(3, n, dtype=torch.float32).abs(), gaussian(3, n, 3, 3, seed=1)
    columns = measure_confidence(errors, M)
    assert list(columns) == CONFIDENCE_COLUMNS
    assert CONFIDENCE_COLUMNS == ["spearman", *(f"risk_{share}" for share in COVERAGES)]
    assert COVERAGES == tuple(range(10, 101, 10))
    assert all(values.shape == (3,) for values in columns.values())
    for seed in range(3):
        sure = documented_confidence(M[seed])
        rank = spearmanr(errors[seed], -sure).statistic
        assert columns["spearman"][seed].item() == pytest.approx(rank, abs=1e-12)
        risk = documented_risk(errors[seed], sure)
        for share in COVERAGES:
            kept = round(n * share / 100)
            assert_near(columns[f"risk_{share}"][seed], risk[kept - 1], 1e-10)


def test_perfect_confidence_has_rank_correlation_one_and_perverse_minus_one():
    """A turned diagonal with a known sum for each item."""
    errors = gaussian(1, 50).abs()
    for sign, rank in ((-1, 1), (1, -1)):
        sums = 10 + sign * errors
        s = torch.stack([torch.full_like(sums, 20), sums, torch.zeros_like(sums)], -1)
        M = rotations(1) @ torch.diag_embed(s) @ rotations(1, seed=1)
        columns = measure_confidence(errors, M)
        assert columns["spearman"].item() == pytest.approx(rank)
        better = columns["risk_10"] < columns["risk_100"]
        assert better.item() == (rank == 1)


def test_confidence_that_knows_nothing_has_rank_correlation_zero():
    columns = measure_confidence(gaussian(4, 2000).abs(), gaussian(4, 2000, 3, 3, seed=1))
    assert columns["spearman"].abs().max() < 0.1


def test_a_stopped_seed_has_no_rank_correlation_and_harms_no_other():
    errors, M = gaussian(2, 40).abs(), gaussian(2, 40, 3, 3, seed=1)
    alone = measure_confidence(errors[1:], M[1:])
    errors[0] = M[0] = math.nan
    for name, values in measure_confidence(errors, M).items():
        assert values[1] == alone[name][0]
        assert values[0].isnan(), name
