"""Free numbers of a network to a rotation, and back: 5D, 6D, 9D, 10D."""

import torch
from torch import Tensor

from rotlib._input import require
from rotlib._nearest.eigenvector import smallest_eigenvector
from rotlib._numerics import (
    full_precision,
    length,
    nan_if_not_finite,
    normalize,
    where_defined,
)
from rotlib.matrix import unit_quaternion_to_matrix
from rotlib.orthogonalize import gram_schmidt, svd_orthogonalize


def rot6d_to_matrix(x: Tensor) -> Tensor:
    """Gram-Schmidt of six numbers: the first two **columns** of the matrix, one after the other.

    PyTorch3D's 6D holds the first two *rows*; transpose its result, or its input, to convert
    (conventions page).

    Args:
        x: ``(..., 6)`` numbers ``(a1, a2)``.

    Returns:
        ``(..., 3, 3)`` rotation matrices.

    Singular points:
        As :func:`~rotlib.orthogonalize.gram_schmidt`.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`zhou2019continuity`; chapter 6.
    """
    require("rot6d_to_matrix", x, 6)
    return gram_schmidt(x.unflatten(-1, (2, 3)).transpose(-1, -2))


def matrix_to_rot6d(R: Tensor) -> Tensor:
    """First two columns of a matrix, stacked; the inverse of :func:`rot6d_to_matrix`.

    Args:
        R: ``(..., 3, 3)`` matrices.

    Returns:
        ``(..., 6)`` numbers.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`zhou2019continuity`; chapter 6.
    """
    require("matrix_to_rot6d", R, 3, 3)
    return R[..., :2].transpose(-1, -2).flatten(-2) + nan_if_not_finite(R)[..., None]


def rot9d_to_matrix(x: Tensor) -> Tensor:
    """Nearest rotation of nine numbers read row by row.

    Args:
        x: ``(..., 9)`` numbers, row-major.

    Returns:
        ``(..., 3, 3)`` rotation matrices.

    Singular points:
        As :func:`~rotlib.orthogonalize.svd_orthogonalize`.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`levinson2020analysis`; chapter 6.
    """
    require("rot9d_to_matrix", x, 9)
    # ``unflatten`` would fix the size of the batch in the older exporter to ONNX.
    return svd_orthogonalize(x.reshape(*x.shape[:-1], 3, 3))


def matrix_to_rot9d(R: Tensor) -> Tensor:
    """The nine entries of a matrix, row by row.

    Args:
        R: ``(..., 3, 3)`` matrices.

    Returns:
        ``(..., 9)`` numbers, row-major.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 6.
    """
    require("matrix_to_rot9d", R, 3, 3)
    return R.flatten(-2).clone()


def rot5d_to_matrix(x: Tensor) -> Tensor:
    r"""Rotation of five numbers: 6D with one number less, through a stereographic projection.

    The last three numbers ``p`` stand for a point of the sphere in four dimensions,
    :math:`(p \cdot p - 1,\; 2p) / (p \cdot p + 1)`. Scaled so that its last three entries have
    length one, it is :math:`(a_{31}, a_2)`; the first two numbers are :math:`(a_{11}, a_{21})`.
    Gram-Schmidt does the rest.

    Args:
        x: ``(..., 5)`` numbers.

    Returns:
        ``(..., 3, 3)`` rotation matrices.

    Singular points:
        ``p = 0`` (NaN in that item alone, with derivative zero), and those of
        :func:`~rotlib.orthogonalize.gram_schmidt`.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`zhou2019continuity`, {cite}`stuelpnagel1964parametrization`. Zhou's code scales
    ``p`` by constants, which this function leaves out.
    """
    require("rot5d_to_matrix", x, 5)
    return where_defined((x[..., 2:] != 0).any(-1), _rot5d_to_matrix, x, torch.ones(5))


def _rot5d_to_matrix(x: Tensor) -> Tensor:
    top, p = x.split([2, 3], -1)
    # Scaled by 2 small / (1 + small^2), the first column stays bounded for every |p|.
    size = length(p)
    inside = size < 1
    small = torch.where(inside, size, 1 / torch.where(inside, 1, size))
    height = (1 - small**2) / (1 + small**2)
    a1 = torch.cat([top * 2 * small / (1 + small**2), torch.where(inside, -height, height)], -1)
    return gram_schmidt(torch.stack([a1, normalize(p)], -1))


def matrix_to_rot5d(R: Tensor) -> Tensor:
    r"""Five numbers of a rotation; the inverse of :func:`rot5d_to_matrix`, smooth on all of SO(3).

    .. math:: w = \frac{(r_{31}, r_2)}{\sqrt{1 + r_{31}^2}} \in S^3, \qquad
        x = \Big(r_{11},\; r_{21},\; \frac{(w_2, w_3, w_4)}{1 - w_1}\Big)

    Args:
        R: ``(..., 3, 3)`` rotation matrices.

    Returns:
        ``(..., 5)`` numbers.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`zhou2019continuity`, {cite}`stuelpnagel1964parametrization`.
    """
    require("matrix_to_rot5d", R, 3, 3)
    r31 = R[..., 2, :1]
    p = R[..., 1] / (torch.sqrt(1 + r31 * r31) - r31)
    return torch.cat([R[..., :2, 0], p], -1) + nan_if_not_finite(R)[..., None]


@full_precision
def rot10d_to_matrix(x: Tensor) -> Tensor:
    r"""Rotation of ten numbers: the symmetric 4x4 matrix's eigenvector of smallest eigenvalue.

    .. math:: q = \arg\min_{\lVert q \rVert = 1} q^\top A\,q

    Args:
        x: ``(..., 10)`` numbers: the upper triangle of ``A``, row by row.

    Returns:
        ``(..., 3, 3)`` rotation matrices of the quaternion ``q_wxyz``.

    Singular points:
        Where the two smallest eigenvalues agree the eigenvector is not unique; the value is one
        of them, the derivative is zero, in that item alone. Near such points it grows like one
        over the gap. Derivatives are exact up to the third.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`peretroukhin2020smooth`.
    """
    require("rot10d_to_matrix", x, 10)
    a, b, c, d, e, f, g, h, i, j = x.unbind(-1)
    A = torch.stack([a, b, c, d, b, e, f, g, c, f, h, i, d, g, i, j], -1).unflatten(-1, (4, 4))
    return unit_quaternion_to_matrix(smallest_eigenvector(A)).to(x.dtype)
