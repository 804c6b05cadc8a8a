"""Many rotations to one, their means; and two clouds of points to the motion between them."""

import torch
from torch import Tensor

from rotlib._input import require, require_float, require_pair
from rotlib._nearest.refused import inverse
from rotlib._numerics import at_least_single, full_precision, widest
from rotlib.orthogonalize import svd_orthogonalize
from rotlib.rotvec import matrix_to_rotvec, rotvec_left_jacobian_inverse, rotvec_to_matrix

#: Newton steps from the chordal to the geodesic mean: four do for random rotations, one is spare.
STEPS = 5


@full_precision
def chordal_mean(R: Tensor, weights: Tensor | None = None) -> Tensor:
    r"""Rotation with the least sum of squared chordal distances to the given ones.

    .. math:: \arg\min_{S \in SO(3)} \sum_i w_i \lVert S - R_i \rVert_F^2
        = \text{nearest rotation of } \sum_i w_i R_i

    Args:
        R: ``(..., n, 3, 3)`` rotation matrices, the mean is over ``n >= 1``.
        weights: ``(..., n)`` nonnegative weights (not checked), of any sum; equal by default. A
            weight of zero leaves out an item that is not finite, too.

    Returns:
        ``(..., 3, 3)`` rotation matrices.

    Singular points:
        Where the nearest rotation of the sum is not unique, as for opposite half turns or weights
        of zero only: one of them, with the derivative of
        :func:`~rotlib.orthogonalize.svd_orthogonalize`.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`hartley2013rotation`; with quaternions {cite}`markley2007averaging`; chapter 6.
    """
    require("chordal_mean", R, "n", 3, 3)
    weights = _weights("chordal_mean", R, R.shape[:-2], weights)
    return _chordal_mean(_without_left_out(R, weights[..., None, None], (-2, -1)), weights)


def _chordal_mean(R: Tensor, weights: Tensor) -> Tensor:
    return svd_orthogonalize((weights[..., None, None] * R).sum(-3))


@full_precision
def geodesic_mean(R: Tensor, weights: Tensor | None = None) -> Tensor:
    r"""Rotation with the least sum of squared angles to the given ones (Karcher or Frechet mean).

    .. math:: \arg\min_{S \in SO(3)} \sum_i w_i\, \theta(S, R_i)^2,
        \qquad \sum_i w_i \log(S^\top R_i) = 0

    A fixed number of Newton steps leads from the chordal mean to the solution. Two more from there,
    with constant coefficients, change the value by a rounding error only, and give it its first
    and second derivative, exactly.

    Args:
        R: ``(..., n, 3, 3)`` rotation matrices, the mean is over ``n >= 1``.
        weights: ``(..., n)`` nonnegative weights (not checked), of any sum; equal by default. A
            weight of zero leaves out an item that is not finite, too.

    Returns:
        ``(..., 3, 3)`` rotation matrices.

    Singular points:
        The mean is unique if all items lie within less than :math:`\pi/2` of one rotation. If not,
        the result is the stationary point reached from the chordal mean, which need not be the
        best one, and jumps where an item is half a turn away from it.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`hartley2013rotation`; derivatives as in chapter 20.
    """
    require("geodesic_mean", R, "n", 3, 3)
    weights = widest(_weights("geodesic_mean", R, R.shape[:-2], weights))
    items = _without_left_out(widest(R), weights[..., None, None], (-2, -1))
    weights = weights[..., None]
    constant, constant_weights = items.detach(), weights.detach()

    S = _chordal_mean(constant, constant_weights[..., 0])
    for _ in range(STEPS):
        slope = _slope(S, constant, constant_weights)
        S = _turned(S, _apply(slope, _pull(S, constant, constant_weights)))
    slope = _slope(S, constant, constant_weights)
    for _ in range(2):
        S = _turned(S, _apply(slope, _pull(S, items, weights)))
    return S.to(R.dtype)


def _logarithms(S: Tensor, R: Tensor) -> Tensor:
    return matrix_to_rotvec(S.transpose(-1, -2)[..., None, :, :] @ R)


def _pull(S: Tensor, R: Tensor, weights: Tensor) -> Tensor:
    """Where the items pull ``S``, in its own axes: zero at the mean. ``(..., 3)``."""
    return (weights * _logarithms(S, R)).sum(-2)


def _slope(S: Tensor, R: Tensor, weights: Tensor) -> Tensor:
    """Inverse of how the pull changes as ``S`` turns."""
    A = (weights[..., None] * rotvec_left_jacobian_inverse(_logarithms(S, R))).sum(-3)
    # At the mean the antisymmetric part is the pull, zero; without it A is never negative.
    return inverse((A + A.transpose(-1, -2)) / 2, torch.finfo(A.dtype).eps)


def _apply(A: Tensor, w: Tensor) -> Tensor:
    return (A @ w[..., None])[..., 0]


def _turned(S: Tensor, w: Tensor) -> Tensor:
    return S @ rotvec_to_matrix(w)


@full_precision
def kabsch(x: Tensor, y: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    r"""Rigid motion that carries points ``x`` as near as possible to points ``y``.

    .. math:: \arg\min_{R \in SO(3),\, t} \sum_i w_i \lVert R x_i + t - y_i \rVert^2: \\
        R = \text{nearest rotation of } \sum_i w_i (y_i - \bar y)(x_i - \bar x)^\top, \\
        t = \bar y - R \bar x

    with the weighted centroids :math:`\bar x` and :math:`\bar y`.

    Args:
        x: ``(..., n, 3)`` points, ``n >= 1``.
        y: ``(..., n, 3)`` points that belong to them; batch shapes broadcast.
        weights: ``(..., n)`` nonnegative weights (not checked), of any sum; equal by default. A
            weight of zero leaves out a pair that is not finite, too.

    Returns:
        ``R (..., 3, 3)``, rotation matrices, and ``t (..., 3)``, in the unit of the points.

    Singular points:
        Where the rotation is not unique (points of either cloud on one line, or clouds that are
        mirror images in more than one way): one of the best, with the derivative of
        :func:`~rotlib.orthogonalize.svd_orthogonalize`, zero in the plane that has no answer. If
        all weights are zero, ``t = 0``.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`kabsch1976solution`, {cite}`wahba1965least`; chapter 6.
    """
    require_pair("kabsch", x, y, "n", 3)
    if x.shape[-2] != y.shape[-2]:
        raise ValueError(
            f"kabsch expects as many points in y as in x, got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    batch = torch.broadcast_shapes(x.shape, y.shape)[:-1]
    weights = at_least_single(_weights("kabsch", x, batch, weights))[..., None]
    dtype, x, y = x.dtype, at_least_single(x), at_least_single(y)
    x, y = _without_left_out(x, weights, -1), _without_left_out(y, weights, -1)
    total = weights.sum(-2, keepdim=True)
    share = weights / torch.where(total > 0, total, 1)
    x_mean, y_mean = (share * x).sum(-2, keepdim=True), (share * y).sum(-2, keepdim=True)
    R = svd_orthogonalize((share * (y - y_mean)).transpose(-1, -2) @ (x - x_mean))
    t = y_mean - x_mean @ R.transpose(-1, -2)
    return R.to(dtype), t[..., 0, :].to(dtype)


def _weights(name: str, x: Tensor, items: torch.Size, weights: Tensor | None) -> Tensor:
    """Weights that broadcast to ``items (..., n)``, divided by the largest, a constant."""
    if items[-1] == 0:
        raise ValueError(f"{name} expects n >= 1, got {tuple(x.shape)}")
    if weights is None:
        return torch.ones(items[-1], dtype=x.dtype, device=x.device)
    require_float(name, weights, "of weights (..., n)")
    if weights.dtype != x.dtype:
        raise TypeError(f"{name} expects one dtype for all, got {x.dtype} and {weights.dtype}")
    if not _belong_to(items, weights):
        raise ValueError(
            f"{name} expects weights (..., n), n = {items[-1]}, whose batch shape broadcasts with "
            f"{tuple(items[:-1])}, got {tuple(weights.shape)}"
        )
    largest = weights.detach().amax(-1, keepdim=True)
    return weights / torch.where(largest > 0, largest, 1)


def _belong_to(items: torch.Size, weights: Tensor) -> bool:
    try:
        torch.broadcast_shapes(items, weights.shape)
    except RuntimeError:
        return False
    return weights.shape[-1:] == items[-1:]


def _without_left_out(x: Tensor, weights: Tensor, item: int | tuple[int, ...]) -> Tensor:
    """Zeros for the items of weight zero that are not finite: zero times NaN would be NaN."""
    finite = x.isfinite().all(item, keepdim=True)
    return torch.where((weights == 0) & ~finite, 0, x)
