"""What the singular values know: a confidence, and how well it ranks the errors."""

import torch
from scipy.stats import rankdata
from torch import Tensor

from rotlib._input import require
from rotlib.svd import signed_svd

#: Shares of the items, in percent, that are kept when the least confident are put aside.
COVERAGES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)


def confidence(M: Tensor) -> Tensor:
    r"""The sum :math:`s_2 + s_3` of the two smallest signed singular values.

    It is the sum in the largest gain, :math:`2/(s_2+s_3)`: half of what a turn about the least
    certain axis would cost, and 0 where the nearest rotation is not unique.

    Args:
        M: ``(..., 3, 3)`` matrices, as a network outputs them.

    Returns:
        ``(...)`` confidences, at least 0 but for rounding; 2 for a rotation.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 17.
    """
    require("confidence", M, 3, 3)
    s = signed_svd(M)[1]
    return s[..., 1] + s[..., 2]


def rank_correlation(x: Tensor, y: Tensor) -> Tensor:
    """Spearman's correlation along the last axis: Pearson's, of the ranks; equals share their mean.

    Args:
        x: ``(..., n)`` numbers.
        y: ``(..., n)`` numbers.

    Returns:
        ``(...)`` values from -1 to 1; NaN where a number is not finite, or all are equal.

    Source: chapter 17.
    """
    # SciPy's spearmanrho warns where all are equal and refuses a single item: NaN says as much.
    ranks = [torch.from_numpy(rankdata(v.numpy(force=True), axis=-1)).to(v.device) for v in (x, y)]
    a, b = (rank - rank.mean(-1, keepdim=True) for rank in ranks)
    correlation = (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))
    return correlation.where((x.isfinite() & y.isfinite()).all(-1), torch.nan)


def risk_coverage(errors: Tensor, confidences: Tensor) -> Tensor:
    """Mean error of the most confident items, for each number of them.

    Args:
        errors: ``(..., n)`` errors.
        confidences: ``(..., n)`` confidences of the same items.

    Returns:
        ``(..., n)``: entry ``k`` is the mean error of the ``k + 1`` items of highest confidence.

    Source: chapter 17.
    """
    order = confidences.argsort(-1, descending=True)
    kept = errors.double().gather(-1, order).cumsum(-1)
    return kept / torch.arange(1, errors.shape[-1] + 1, device=errors.device)


def measure_confidence(errors: Tensor, M: Tensor) -> dict[str, Tensor]:
    """Columns of the confidence table, each ``(seeds,)``.

    Args:
        errors: ``(seeds, n)`` in degrees.
        M: ``(seeds, n, 3, 3)`` raw outputs.

    Returns:
        ``spearman`` between error and *lack* of confidence (1 if the confidence ranks the errors
        perfectly, 0 if it knows nothing), and ``risk_10`` to ``risk_100``, the mean error at each
        coverage of ``COVERAGES``.

    Source: chapter 17.
    """
    sure = confidence(M)
    risk = risk_coverage(errors, sure)
    n = errors.shape[-1]
    at = {f"risk_{share}": risk[..., round(n * share / 100) - 1] for share in COVERAGES}
    return {"spearman": rank_correlation(errors, -sure)} | at


CONFIDENCE_COLUMNS = ["spearman", *(f"risk_{share}" for share in COVERAGES)]
