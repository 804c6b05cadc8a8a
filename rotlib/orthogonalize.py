"""Free numbers to a rotation: the nearest one (SVD), the first-come one (Gram-Schmidt), and kin."""

import math

import torch
from torch import Tensor

from rotlib._input import require, require_square
from rotlib._nearest.function import nearest_rotation
from rotlib._numerics import (
    dot,
    full_precision,
    nan_if_not_finite,
    normalize,
    where_defined,
)
from rotlib.matrix import tangent_basis
from rotlib.svd import pair_gains, signed_svd


@full_precision
def svd_orthogonalize(M: Tensor) -> Tensor:
    r"""Nearest special-orthogonal matrix in the Frobenius norm.

    .. math:: R &= \arg\min_{Q \in SO(n)} \lVert Q - M \rVert_F \\
        &= U \operatorname{diag}(1, \dots, 1, \det(UV^\top))\, V^\top, \qquad
        M = U \operatorname{diag}(|s|) V^\top

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
        For ``n = 3`` no SVD is computed (chapter 20); the result is as accurate. Plain numbers on
        a CPU go through a loop compiled by Numba, if it is installed: the first call then takes
        some seconds, once for each computer. Derivatives are exact up to the third, in every mode
        and order of modes.

    Source: {cite}`schonemann1966generalized`, {cite}`levinson2020analysis`; optimality proved in
    chapter 6, derivative in chapter 8, equation (8.7), both without an SVD in chapter 20.
    """
    require_square("svd_orthogonalize", M)
    return nearest_rotation(M)


@full_precision
def svd_jacobian(M: Tensor) -> Tensor:
    r"""Jacobian of :func:`~rotlib.orthogonalize.svd_orthogonalize`.

    .. math:: J = \sum_{i<j} \frac{2}{s_i + s_j}\, n_{ij} n_{ij}^\top, \qquad
        n_{ij} = \operatorname{vec} \frac{u_i v_j^\top - u_j v_i^\top}{\sqrt2}

    Symmetric, positive where the spectrum is, of rank :math:`n(n-1)/2`: 3 for rotations in space.

    Args:
        M: ``(..., n, n)`` matrices; ``n = 3`` in the book.

    Returns:
        ``(..., n * n, n * n)`` Jacobians of row-major vectors: ``(..., 9, 9)``.

    Singular points:
        A pair with :math:`s_i + s_j = 0` is left out, as in ``svd_orthogonalize``.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`choy2026training`, abstract; derived in chapter 8, equation (8.8).
    """
    require_square("svd_jacobian", M)
    U, s, V = signed_svd(M)
    outer = (
        U.transpose(-1, -2)[..., :, None, :, None] * V.transpose(-1, -2)[..., None, :, None, :]
    )  # u_i v_j^T at [i, j]
    planes = ((outer - outer.transpose(-4, -3)) / math.sqrt(2)).flatten(-2)
    i, j = torch.triu_indices(M.shape[-1], M.shape[-1], 1, device=M.device)
    n = planes[..., i, j, :]
    return n.transpose(-1, -2) @ (2 * pair_gains(s)[..., i, j, None] * n)


def svd_jacobian_spectrum(M: Tensor) -> Tensor:
    r"""Nonzero singular values of the Jacobian of ``svd_orthogonalize``.

    .. math:: \frac{2}{s_i + s_j}, \quad i < j

    with *signed* singular values (``s_n`` carries the sign of ``det M``).

    Args:
        M: ``(..., n, n)`` matrices; ``n = 3`` in the book.

    Returns:
        ``(..., n (n - 1) / 2)`` values, descending: ``(..., 3)``; ``inf`` where a sum is zero to
        working precision (at most ``16 eps s_1``).

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`choy2026training`, abstract; derived in chapter 8, equation (8.9).
    """
    require_square("svd_jacobian_spectrum", M)
    s = signed_svd(M)[1]
    i, j = torch.triu_indices(M.shape[-1], M.shape[-1], 1, device=M.device)
    # A sum that is zero to working precision has gain 0 in the derivative and inf here.
    gains = pair_gains(s)[..., i, j]
    spectrum = torch.where(gains > 0, 2 * gains, torch.inf).sort(-1, descending=True).values
    return spectrum + nan_if_not_finite(M)[..., None]


def svd_condition_number(M: Tensor) -> Tensor:
    r"""Condition number of the SVD-orthogonalization Jacobian at ``M``.

    .. math:: \kappa = \frac{s_1 + s_2}{s_2 + s_3}

    with *signed* singular values (``s_3`` carries the sign of ``det M``).

    Args:
        M: ``(..., 3, 3)`` matrices.

    Returns:
        ``(...)`` condition numbers, at least 1; ``inf`` where ``s_2 + s_3 = 0``, the points at
        which the nearest rotation is not unique.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`choy2026training`, abstract; derived in chapter 8, equation (8.10).
    """
    require("svd_condition_number", M, 3, 3)
    spectrum = svd_jacobian_spectrum(M)
    largest, smallest = spectrum[..., 0], spectrum[..., 2]
    return torch.where(largest.isinf(), torch.inf, largest / smallest)


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
        with derivative zero. Parallel means to rounding: no entry of what is left of ``a2`` is
        above ``4 eps`` times the largest of ``a2``, because rounding alone leaves up to 3.3. Near
        such points the derivative grows like one over the distance to them.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`zhou2019continuity`; chapter 6, equation (6.1).
    """
    require("gram_schmidt", A, 3, 2)
    a1, a2 = A.detach().unbind(-1)
    r1 = normalize(a1)
    rest = a2 - dot(r1, a2) * r1
    rounding = 4 * torch.finfo(A.dtype).eps * a2.abs().amax(-1)
    defined = rest.isfinite().all(-1) & (rest.abs().amax(-1) > rounding)
    return where_defined(defined, _gram_schmidt, A, torch.eye(3, 2))


def _gram_schmidt(A: Tensor) -> Tensor:
    a1, a2 = A.unbind(-1)
    r1 = normalize(a1)
    r2 = normalize(a2 - dot(r1, a2) * r1)
    # The same projection once more: exact mathematics leaves r2 as it is, rounding does not.
    r2 = normalize(r2 - dot(r1, r2) * r1)
    return torch.stack([r1, r2, torch.linalg.cross(r1, r2, dim=-1)], -1)


def _gram_schmidt_frame(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rotation, and alpha = |a1|, beta = |a2 - (r1.a2) r1|, gamma = r1.a2, each ``(..., 1)``."""
    A = x.reshape(*x.shape[:-1], 2, 3)  # ``unflatten`` would fix the batch in ONNX
    R = gram_schmidt(A.transpose(-1, -2))
    a1, a2 = A.unbind(-2)
    r1, r2 = R[..., 0], R[..., 1]
    alpha, gamma, beta = dot(r1, a1), dot(r1, a2), dot(r2, a2)
    return R, alpha, beta, gamma


@full_precision
def gram_schmidt_jacobian(x: Tensor) -> Tensor:
    r"""Jacobian of :func:`~rotlib.codes.rot6d_to_matrix`.

    With :math:`\alpha = \lVert a_1 \rVert`,
    :math:`\beta = \lVert a_2 - (r_1 \cdot a_2) r_1 \rVert`, :math:`\gamma = r_1 \cdot a_2`, the
    rotation turns by :math:`dR = R\,\hat w`,

    .. math:: w_1 = \frac{r_3 \cdot da_2}{\beta}
        - \frac{\gamma\, r_3 \cdot da_1}{\alpha\beta}, \quad
        w_2 = -\frac{r_3 \cdot da_1}{\alpha}, \quad w_3 = \frac{r_2 \cdot da_1}{\alpha}

    Args:
        x: ``(..., 6)`` numbers ``(a1, a2)``.

    Returns:
        ``(..., 9, 6)`` Jacobians of rank 3.

    Singular points:
        NaN where ``a1 = 0`` or the columns are parallel to rounding, as in :func:`gram_schmidt`.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 11.
    """
    require("gram_schmidt_jacobian", x, 6)
    R, alpha, beta, gamma = _gram_schmidt_frame(x)
    r2, r3 = R[..., 1], R[..., 2]
    zero = torch.zeros_like(r3)
    w1 = torch.cat([-gamma / alpha / beta * r3, r3 / beta], -1)
    w2 = torch.cat([-r3 / alpha, zero], -1)
    w3 = torch.cat([r2 / alpha, zero], -1)
    return tangent_basis(R) @ torch.stack([w1, w2, w3], -2)


def gram_schmidt_spectrum(x: Tensor) -> Tensor:
    r"""Nonzero singular values of the Gram-Schmidt Jacobian.

    .. math:: \frac{\sqrt2}{\alpha} \quad\text{and}\quad \sqrt2 \times \text{those of}
        \begin{pmatrix} 1/\beta & -\gamma/(\alpha\beta) \\ 0 & -1/\alpha \end{pmatrix}

    Args:
        x: ``(..., 6)`` numbers ``(a1, a2)``; symbols as in :func:`gram_schmidt_jacobian`.

    Returns:
        ``(..., 3)`` values, descending.

    Singular points:
        NaN where ``a1 = 0`` or the columns are parallel to rounding, as in :func:`gram_schmidt`.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 11.
    """
    require("gram_schmidt_spectrum", x, 6)
    _, alpha, beta, gamma = _gram_schmidt_frame(x)
    a, b, c = 1 / alpha, 1 / beta, gamma / alpha / beta
    # |A|^2 + 2 det A and |A|^2 - 2 det A, written as sums of squares: nothing cancels.
    larger = (torch.hypot(a + b, c) + torch.hypot(a - b, c)) / 2
    values = torch.cat([larger, a * (b / larger), a], -1)
    return math.sqrt(2) * values.sort(-1, descending=True).values
