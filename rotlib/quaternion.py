"""Four numbers: unit quaternions in wxyz order."""

import torch
from torch import Tensor

from rotlib._input import require, require_pair
from rotlib._numerics import (
    full_precision,
    length,
    nan_if_not_finite,
    normalize,
    row_of_largest_diagonal,
    where_defined,
)
from rotlib.matrix import hat, tangent_basis, unit_quaternion_to_matrix


def quaternion_to_matrix(q_wxyz: Tensor) -> Tensor:
    r"""Rotation matrix of a quaternion, which is normalised first.

    .. math:: R = I + 2w\,\hat v + 2\,\hat v^2, \qquad (w, v) = q / \lVert q \rVert

    ``q`` and ``-q`` give the same matrix.

    Args:
        q_wxyz: ``(..., 4)`` quaternions, scalar part first, any nonzero length.

    Returns:
        ``(..., 3, 3)`` rotation matrices.

    Singular points:
        A quaternion of zeros has no direction: NaN in that item alone, with derivative zero.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 4.
    """
    require("quaternion_to_matrix", q_wxyz, 4)
    defined = (q_wxyz != 0).any(-1)
    one = torch.tensor([1.0, 0, 0, 0])
    return where_defined(defined, lambda q: unit_quaternion_to_matrix(normalize(q)), q_wxyz, one)


def matrix_to_quaternion(R: Tensor) -> Tensor:
    r"""Unit quaternion of a rotation matrix, with :math:`w \ge 0`.

    The matrix :math:`4qq^\top` is linear in ``R``; its row with the largest diagonal entry,
    normalised, is ``q``. That row is never shorter than 2, so the value and the derivative are
    accurate for every rotation, half turns included.

    Args:
        R: ``(..., 3, 3)`` rotation matrices. Other matrices are not refused: a reflection, say,
            gives some unit quaternion, where SciPy raises an error (see ``is_rotation``).

    Returns:
        ``(..., 4)`` quaternions ``wxyz`` of unit length.

    Singular points:
        None for the derivative. At a half turn ``w = 0`` and both signs are equally right: the
        largest component is taken positive, and the derivative belongs to that branch.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 4.
    """
    require("matrix_to_quaternion", R, 3, 3)
    outer = davenport(R) + torch.eye(4, dtype=R.dtype, device=R.device)  # 4 q q^T
    row = row_of_largest_diagonal(outer)
    q_wxyz = row / torch.linalg.vector_norm(row, dim=-1, keepdim=True)
    q_wxyz = q_wxyz + nan_if_not_finite(R)[..., None]
    return torch.where(q_wxyz[..., :1] < 0, -q_wxyz, q_wxyz)


def davenport(M: Tensor) -> Tensor:
    r"""Davenport's ``K (..., 4, 4)``, with :math:`\operatorname{tr}(R(q)^\top M) = q^\top K q`."""
    m11, m12, m13, m21, m22, m23, m31, m32, m33 = M.flatten(-2).unbind(-1)
    ww, xx = m11 + m22 + m33, m11 - m22 - m33
    yy, zz = -m11 + m22 - m33, -m11 - m22 + m33
    wx, wy, wz = m32 - m23, m13 - m31, m21 - m12
    xy, xz, yz = m12 + m21, m13 + m31, m23 + m32
    entries = [ww, wx, wy, wz, wx, xx, xy, xz, wy, xy, yy, yz, wz, xz, yz, zz]
    return torch.stack(entries, -1).unflatten(-1, (4, 4))


def quaternion_multiply(p_wxyz: Tensor, q_wxyz: Tensor) -> Tensor:
    r"""Hamilton product: rotate by ``q`` first, then by ``p``.

    .. math:: (p_w, p_v)(q_w, q_v) = (p_w q_w - p_v \cdot q_v,\; p_w q_v + q_w p_v + p_v \times q_v)

    Args:
        p_wxyz: ``(..., 4)`` quaternions.
        q_wxyz: ``(..., 4)`` quaternions; batch shapes broadcast.

    Returns:
        ``(..., 4)`` products; lengths multiply.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 4.
    """
    require_pair("quaternion_multiply", p_wxyz, q_wxyz, 4)
    a, b, c, d = p_wxyz.unbind(-1)
    w, x, y, z = q_wxyz.unbind(-1)
    product = [
        a * w - b * x - c * y - d * z,
        a * x + b * w + c * z - d * y,
        a * y - b * z + c * w + d * x,
        a * z + b * y - c * x + d * w,
    ]
    return torch.stack(product, -1)


def quaternion_conjugate(q_wxyz: Tensor) -> Tensor:
    """``(w, -x, -y, -z)``: the inverse rotation, for a unit quaternion.

    Args:
        q_wxyz: ``(..., 4)`` quaternions.

    Returns:
        ``(..., 4)`` quaternions.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 4.
    """
    require("quaternion_conjugate", q_wxyz, 4)
    return torch.cat([q_wxyz[..., :1], -q_wxyz[..., 1:]], -1)


def wxyz_to_xyzw(q_wxyz: Tensor) -> Tensor:
    """Move the scalar part from first to last, the order of SciPy and RoMa.

    Args:
        q_wxyz: ``(..., 4)`` quaternions.

    Returns:
        ``(..., 4)`` quaternions ``xyzw``.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: conventions page.
    """
    require("wxyz_to_xyzw", q_wxyz, 4)
    return q_wxyz.roll(-1, -1)


def xyzw_to_wxyz(q_xyzw: Tensor) -> Tensor:
    """Move the scalar part from last to first, the order of this library.

    Args:
        q_xyzw: ``(..., 4)`` quaternions.

    Returns:
        ``(..., 4)`` quaternions ``wxyz``.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: conventions page.
    """
    require("xyzw_to_wxyz", q_xyzw, 4)
    return q_xyzw.roll(1, -1)


@full_precision
def quaternion_jacobian(q_wxyz: Tensor) -> Tensor:
    r"""Jacobian of :func:`~rotlib.quaternion.quaternion_to_matrix`.

    .. math:: dR = R\,\hat\omega, \qquad
        \omega = \frac{2}{\lVert q \rVert^2} \big(w\,dv - v\,dw - v \times dv\big), \quad
        q = (w, v)

    Its three nonzero singular values are equal: :math:`2\sqrt2 / \lVert q \rVert`.

    Args:
        q_wxyz: ``(..., 4)`` quaternions of any nonzero length.

    Returns:
        ``(..., 9, 4)`` Jacobians of rank 3, with ``q`` itself in the kernel.

    Singular points:
        NaN for a quaternion of zeros, in that item alone.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 4.
    """
    require("quaternion_jacobian", q_wxyz, 4)
    R = quaternion_to_matrix(q_wxyz)
    w, v = normalize(q_wxyz).split([1, 3], -1)
    identity = torch.eye(3, dtype=R.dtype, device=R.device)
    turn = torch.cat([-v[..., None], w[..., None] * identity - hat(v)], -1)
    return tangent_basis(R) @ (turn * (2 / length(q_wxyz)[..., None]))
