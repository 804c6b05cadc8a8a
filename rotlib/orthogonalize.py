"""Free numbers to a rotation: the nearest one (SVD), the first-come one (Gram-Schmidt), and kin."""

import torch
from torch import Tensor

from rotlib._input import require, require_square
from rotlib._nearest.function import nearest_rotation
from rotlib._numerics import dot, full_precision, normalize, where_defined


@full_precision
def svd_orthogonalize(M: Tensor) -> Tensor:
    r"""Nearest special-orthogonal matrix in the Frobenius norm.

    .. math:: R = U \operatorname{diag}(1, \dots, 1, \det(UV^\top))\, V^\top
        = \arg\min_{Q \in SO(n)} \lVert Q - M \rVert_F, \qquad M = U \operatorname{diag}(|s|) V^\top

    The derivative is the closed form
    :math:`dR = U K V^\top`, :math:`K_{ij} = (P_{ij} - P_{ji})/(s_i + s_j)`,
    :math:`P = U^\top dM\, V`, with *signed* singular values. It holds no
    :math:`1/(s_i - s_j)`, so it is exact at rotations and at repeated singular values, for both
    signs of the determinant, and can be differentiated again.

    Args:
        M: ``(..., n, n)`` matrices, ``n >= 2``.

    Returns:
        ``(..., n, n)`` matrices with orthonormal columns and determinant +1. Items that are not
        finite give NaN, alone.

    Singular points:
        Where :math:`s_i + s_j = 0` for a pair (rank below ``n - 1``, or a negative determinant
        with the two smallest singular values equal) the nearest rotation is not unique. One of
        them is returned; the derivative drops that pair, that is, it is the pseudo-inverse
        solution: finite, and zero in the plane that has no answer. "Zero" means at most
        ``16 eps s_1``; the zero matrix has derivative zero.

    Raises:
        TypeError: if ``M`` is not a floating-point tensor.
        ValueError: unless its last two dimensions are equal and at least 2.

    Note:
        For ``n = 3`` no SVD is computed, but for the few matrices near a singular point (chapter
        20); the result is as accurate. Equal matrices at different places of a batch may differ by
        rounding. ``torch.compile`` runs this function as it is, between its graphs.

        Forward mode over forward mode (``jacfwd`` of ``jacfwd``) is not supported by PyTorch's
        custom functions and gives zeros. Use ``torch.func.hessian``, which is forward over
        reverse, or reverse over either.

    Source: {cite}`schonemann1966generalized`, {cite}`levinson2020analysis`; optimality proved in
    chapter 6, derivative in chapter 8, equation (8.7), both without an SVD in chapter 20.
    """
    require_square("svd_orthogonalize", M)
    return nearest_rotation(M)


def gram_schmidt(A: Tensor) -> Tensor:
    r"""Rotation whose first column is along ``a1`` and whose second lies in the plane of both.

    .. math:: r_1 = \frac{a_1}{\lVert a_1 \rVert}, \quad
        r_2 = \frac{a_2 - (r_1 \cdot a_2)\,r_1}{\lVert a_2 - (r_1 \cdot a_2)\,r_1 \rVert}, \quad
        r_3 = r_1 \times r_2

    Args:
        A: ``(..., 3, 2)`` matrices with columns ``a1`` and ``a2``.

    Returns:
        ``(..., 3, 3)`` rotation matrices.

    Singular points:
        Where ``a1 = 0`` or the columns are parallel there is no answer: NaN, in that item alone,
        with derivative zero; or, where rounding leaves parallel columns a residue, a rotation
        with an arbitrary second column. Near such points the derivative grows like one over the
        distance to them.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`zhou2019continuity`; chapter 6, equation (6.1).
    """
    require("gram_schmidt", A, 3, 2)
    a1, a2 = A.detach().unbind(-1)
    r1 = normalize(a1)
    rest = a2 - dot(r1, a2) * r1
    defined = rest.isfinite().all(-1) & (rest != 0).any(-1)
    return where_defined(defined, _gram_schmidt, A, torch.eye(3, 2))


def _gram_schmidt(A: Tensor) -> Tensor:
    a1, a2 = A.unbind(-1)
    r1 = normalize(a1)
    r2 = normalize(a2 - dot(r1, a2) * r1)
    # The same projection once more: exact mathematics leaves r2 as it is, rounding does not.
    r2 = normalize(r2 - dot(r1, r2) * r1)
    return torch.stack([r1, r2, torch.linalg.cross(r1, r2, dim=-1)], -1)
