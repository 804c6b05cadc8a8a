"""Other gradients for the same nearest rotation: tamed ones, and those of generic layers.

:func:`svd_orthogonalize_unit_gains` and :func:`clip_item_gradients` keep the gradient bounded where
the exact one has a pole. The others show what generic layers do. Differentiating the factors U and
V one by one brings in :math:`F_{ij} = 1/(s_i^2 - s_j^2)`. In the
product :math:`UV^\\top` the numerator :math:`s_i - s_j` cancels all but :math:`1/(s_i + s_j)`
(chapter 8). A layer that changes F before the product loses that cancellation. These functions
show what is left; :func:`~rotlib.orthogonalize.svd_orthogonalize` needs none of it. Clamped and
Taylor have a backward only, no forward mode.
"""

import torch
from torch import Tensor
from torch.autograd import Function

from rotlib._input import require, require_square
from rotlib._numerics import full_precision
from rotlib._numerics import length as norm
from rotlib.orthogonalize import svd_orthogonalize
from rotlib.svd import signed_svd


@full_precision
def svd_orthogonalize_unit_gains(M: Tensor) -> Tensor:
    r"""Nearest rotation whose backward has every gain set to one.

    .. math:: \frac{2}{s_i + s_j} \;\longrightarrow\; 1: \qquad
        g = \tfrac12 R\,(R^\top G - G^\top R)

    for the gradient ``G`` at ``R``: its part along turns of ``R``, neither bent nor stretched. Its
    length is at most that of ``G``, however near ``M`` is to a singular point.

    Args:
        M: ``(..., n, n)`` matrices, ``n >= 2``.

    Returns:
        ``(..., n, n)`` rotations, those of :func:`~rotlib.orthogonalize.svd_orthogonalize`.

    Singular points:
        None for the backward. The value is that of ``svd_orthogonalize`` there.

    Note:
        The backward is no derivative of the forward: for training, not for second derivatives,
        which take ``R`` for a constant.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapters 12 and 14.
    """
    require_square("svd_orthogonalize_unit_gains", M)
    R = svd_orthogonalize(M.detach())
    turned = R.transpose(-1, -2) @ M
    tangent = R @ (turned - turned.transpose(-1, -2)) / 2  # zero but for rounding
    return R + (tangent - tangent.detach())


def clip_item_gradients(x: Tensor, length: float) -> Tensor:
    r"""``x`` itself, with a backward that cuts each item's gradient to a length.

    .. math:: g \;\longrightarrow\; g\,\min\Big(1, \frac{\text{length}}{\lVert g \rVert}\Big)

    Clipping the gradient of all weights, as optimisers do, lets one item near a pole drown all
    others of its batch. Put this between the network and :func:`~rotlib.codes.rot9d_to_matrix`.

    Args:
        x: ``(..., n)`` numbers; an item is what stands along the last axis.
        length: the length that no item's gradient exceeds; positive. A loss that is a mean over a
            batch has gradients that are shorter by the size of the batch.

    Returns:
        ``(..., n)`` the same numbers.

    Singular points:
        None: a gradient of zero stays zero. One that is not finite stays so.

    Raises:
        TypeError: if ``x`` is not a floating-point tensor or ``length`` not a number.
        ValueError: if ``length`` is not positive and finite.

    Source: chapters 14 and 18.
    """
    require("clip_item_gradients", x, "n")
    if not isinstance(length, int | float):
        raise TypeError(f"clip_item_gradients expects a number length, got {type(length).__name__}")
    if not 0 < length < float("inf"):
        raise ValueError(f"clip_item_gradients expects a positive, finite length, got {length}")
    return _ClippedItems.apply(x, length)


class _ClippedItems(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, length):
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.length = inputs[1]

    @staticmethod
    def backward(ctx, grad):
        return grad * (ctx.length / norm(grad)).clamp(max=1), None

    @staticmethod
    def jvp(ctx, dx, _):
        return dx.clone()


@full_precision
def svd_orthogonalize_autograd(M: Tensor) -> Tensor:
    r"""Nearest rotation, differentiated by autograd through ``torch.linalg.svd``.

    The backward divides by :math:`s_i^2 - s_j^2`.

    Args:
        M: ``(..., n, n)`` matrices.

    Returns:
        ``(..., n, n)`` rotations, those of :func:`~rotlib.orthogonalize.svd_orthogonalize`.

    Singular points:
        Where two singular values agree the derivative is NaN, infinite or wrong: at every
        rotation matrix, for example. The gradient of an item that is not finite is 0.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapters 8 and 10.
    """
    require_square("svd_orthogonalize_autograd", M)
    U, _, V = signed_svd(M)
    R = U @ V.transpose(-1, -2)
    return svd_orthogonalize(M.detach()) + (R - R.detach())


class _Stabilized(Function):
    """Nearest rotation whose backward uses a table of gains in place of 1/(s_i + s_j)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(M, gains_of):
        return svd_orthogonalize(M), *signed_svd(M)

    @staticmethod
    def setup_context(ctx, inputs, output):
        M, ctx.gains_of = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(M, *output[1:])

    @staticmethod
    def backward(ctx, grad, *_):
        M, U, s, V = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody wants to differentiate this gradient again
            U, s, V = signed_svd(M)
        P = U.transpose(-1, -2) @ grad @ V
        gains = ctx.gains_of(s[..., :, None], s[..., None, :]).triu(1)
        return U @ ((P - P.transpose(-1, -2)) * (gains + gains.transpose(-1, -2))) @ V.transpose(
            -1, -2
        ), None


@full_precision
def svd_orthogonalize_clamped(M: Tensor, eps: float) -> Tensor:
    r"""Nearest rotation whose backward keeps every :math:`|s_i^2 - s_j^2|` at least ``eps``.

    .. math:: \frac{1}{s_i + s_j} \;\longrightarrow\;
        \frac{s_i - s_j}{\max(s_i^2 - s_j^2,\ \varepsilon)}
        = \frac{1}{s_i + s_j}\,\min\!\Big(1, \frac{s_i^2 - s_j^2}{\varepsilon}\Big)

    Args:
        M: ``(..., n, n)`` matrices.
        eps: smallest denominator, in units of squared singular values; positive.

    Returns:
        ``(..., n, n)`` rotations, those of :func:`~rotlib.orthogonalize.svd_orthogonalize`.

    Singular points:
        The derivative is finite everywhere, and zero where singular values agree: at every
        rotation matrix the gradient vanishes. Its own derivative is NaN there.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 10.
    """
    require_square("svd_orthogonalize_clamped", M)
    if not isinstance(eps, int | float):
        raise TypeError(f"svd_orthogonalize_clamped expects a number eps, got {type(eps).__name__}")
    if not eps > 0:
        raise ValueError(f"svd_orthogonalize_clamped expects eps > 0, got {eps}")

    def gains_of(a: Tensor, b: Tensor) -> Tensor:
        clear = (a - b) * (a + b) > eps
        return torch.where(clear, 1 / torch.where(clear, a + b, 1), (a - b) / eps)

    return _Stabilized.apply(M, gains_of)[0]


@full_precision
def svd_orthogonalize_taylor(M: Tensor, terms: int) -> Tensor:
    r"""Nearest rotation whose backward expands :math:`1/(s_i^2 - s_j^2)` in a geometric series.

    .. math:: \frac{1}{s_i^2 - s_j^2} \;\longrightarrow\;
        \frac{1}{s_i^2} \sum_{k=0}^{K} \Big(\frac{s_j}{s_i}\Big)^{2k}
        \quad\text{for } s_i \ge s_j, \qquad K = \text{terms} - 1

    Each plane's gain is thereby multiplied by exactly :math:`1 - (s_j/s_i)^{2(K+1)}`.

    Args:
        M: ``(..., n, n)`` matrices.
        terms: number of terms of the series, ``K + 1``; at least 1.

    Returns:
        ``(..., n, n)`` rotations, those of :func:`~rotlib.orthogonalize.svd_orthogonalize`.

    Singular points:
        The gradient vanishes where singular values agree: at every rotation matrix. A pair of
        zero singular values contributes 0. The gradient's own derivative is NaN there.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: the series of {cite}`wang2022robust`, applied to this map in chapter 10.
    """
    require_square("svd_orthogonalize_taylor", M)
    if not isinstance(terms, int):
        raise TypeError(
            f"svd_orthogonalize_taylor expects an integer terms, got {type(terms).__name__}"
        )
    if terms < 1:
        raise ValueError(f"svd_orthogonalize_taylor expects terms >= 1, got {terms}")

    def gains_of(larger: Tensor, smaller: Tensor) -> Tensor:
        exists = larger.abs() > 0
        a = torch.where(exists, larger, 1)
        ratio = (smaller / a) ** 2
        series = sum(ratio**k for k in range(terms))
        return torch.where(exists, (1 - smaller / a) / a * series, 0)

    return _Stabilized.apply(M, gains_of)[0]
