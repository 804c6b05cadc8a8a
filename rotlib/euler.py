"""Three angles about coordinate axes, in all twelve orders, intrinsic and extrinsic."""

import torch
from torch import Tensor

from rotlib._input import require
from rotlib._numerics import full_precision, nan_if_not_finite
from rotlib.matrix import tangent_basis


def parse_order(name: str, order: str) -> tuple[tuple[int, int, int], bool]:
    """Axis numbers of an order such as ``"XYZ"``, and whether it is intrinsic.

    Raises:
        ValueError: unless ``order`` is three of the letters x, y, z in one case, with no letter
            twice in a row.
    """
    one_case = isinstance(order, str) and (order.isupper() or order.islower())
    axes = tuple("xyz".find(letter) for letter in order.lower()) if one_case else ()
    if len(axes) != 3 or -1 in axes or axes[0] == axes[1] or axes[1] == axes[2]:
        raise ValueError(
            f"{name} expects three axis letters, XYZ (intrinsic) or xyz (extrinsic), "
            f"none twice in a row; got {order!r}"
        )
    return axes, order.isupper()


def axis_rotation(axis: int, angle: Tensor) -> Tensor:
    """Rotation by ``angle`` about coordinate axis 0, 1 or 2: ``(...)`` to ``(..., 3, 3)``."""
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    i, j, k = axis, (axis + 1) % 3, (axis + 2) % 3
    entries = {(i, i): one, (j, j): c, (k, k): c, (k, j): s, (j, k): -s}
    flat = [entries.get((row, column), zero) for row in range(3) for column in range(3)]
    return torch.stack(flat, -1).unflatten(-1, (3, 3))


@full_precision
def euler_to_matrix(angles: Tensor, order: str) -> Tensor:
    r"""Rotation matrix of three angles about coordinate axes.

    .. math:: R_{\text{XYZ}} = R_x(a_1)\,R_y(a_2)\,R_z(a_3), \qquad
        R_{\text{xyz}} = R_z(a_3)\,R_y(a_2)\,R_x(a_1)

    Args:
        angles: ``(..., 3)`` radians, in the order of the letters.
        order: three letters. Upper case is intrinsic (each turn about the axes as already
            turned), lower case extrinsic (about the fixed axes), as in SciPy.

    Returns:
        ``(..., 3, 3)`` rotation matrices.

    Singular points:
        None here; the inverse has them.

    Raises:
        ValueError: for an unknown order.

    Source: chapter 2.
    """
    require("euler_to_matrix", angles, 3)
    axes, intrinsic = parse_order("euler_to_matrix", order)
    first, second, third = (axis_rotation(axis, angles[..., n]) for n, axis in enumerate(axes))
    return first @ second @ third if intrinsic else third @ second @ first


@full_precision
def matrix_to_euler(R: Tensor, order: str) -> Tensor:
    r"""Three angles of a rotation matrix.

    The third angle is read off first; turning it back leaves a product of two coordinate
    rotations, from which the other two are read. So the angles reproduce ``R`` to rounding
    everywhere, however close to gimbal lock.

    Args:
        R: ``(..., 3, 3)`` rotation matrices.
        order: as in :func:`euler_to_matrix`.

    Returns:
        ``(..., 3)`` radians. First and third lie in :math:`[-\pi, \pi]`; the second in
        :math:`[-\pi/2, \pi/2]` for orders of three different axes, in :math:`[0, \pi]` for
        orders whose first and third axes agree.

    Singular points:
        Gimbal lock: the second angle at an end of its range. Only the sum or difference of the
        other two is determined; the third is set to 0, as in SciPy, and has derivative 0. Near it
        the derivative grows like one over the distance.

    Raises:
        ValueError: for an unknown order.

    Source: chapter 2.
    """
    require("matrix_to_euler", R, 3, 3)
    (i, j, last), intrinsic = parse_order("matrix_to_euler", order)
    # The inverse of an extrinsic product is the intrinsic one of the negated angles.
    turned = R if intrinsic else R.transpose(-1, -2)
    k = 3 - i - j
    handed = 1.0 if (j - i) % 3 == 1 else -1.0
    if last != i:
        c = _angle(-handed * turned[..., i, j], turned[..., i, i])
        sin, cos = handed * c.sin()[..., None], c.cos()[..., None]
        column_j = sin * turned[..., i] + cos * turned[..., j]
        cos_b = (cos * turned[..., i] - sin * turned[..., j])[..., i]
        b = torch.atan2(handed * turned[..., i, k], cos_b)
    else:
        upper = 1.0 if intrinsic else -1.0  # the half circle in which the middle angle shall lie
        c = _angle(upper * turned[..., i, j], upper * handed * turned[..., i, k])
        sin, cos = handed * c.sin()[..., None], c.cos()[..., None]
        column_j = cos * turned[..., j] - sin * turned[..., k]
        sin_b = (sin * turned[..., j] + cos * turned[..., k])[..., i]
        # sin_b lies on that side already; abs decides the case of a signed zero.
        b = upper * torch.atan2(sin_b.abs(), turned[..., i, i])
    a = torch.atan2(handed * column_j[..., k], column_j[..., j])
    angles = torch.stack([a, b, c], -1) + nan_if_not_finite(R)[..., None]
    return angles if intrinsic else -angles


def _angle(y: Tensor, x: Tensor) -> Tensor:
    """``atan2(y, x)``, and a constant 0 where both vanish to working precision."""
    limit = 16 * torch.finfo(y.dtype).eps
    locked = (y.abs() < limit) & (x.abs() < limit)
    return torch.where(locked, 0, torch.atan2(torch.where(locked, 0, y), torch.where(locked, 1, x)))


@full_precision
def euler_jacobian(angles: Tensor, order: str) -> Tensor:
    r"""Jacobian of :func:`~rotlib.euler.euler_to_matrix`.

    Each angle turns about its own axis as the later turns have left it: for an intrinsic order
    :math:`R = R_1 R_2 R_3`,

    .. math:: dR = R\,\hat\omega, \qquad
        \omega = (R_2 R_3)^\top e_i\,da_1 + R_3^\top e_j\,da_2 + e_k\,da_3

    Args:
        angles: ``(..., 3)`` radians.
        order: as in :func:`~rotlib.euler.euler_to_matrix`.

    Returns:
        ``(..., 9, 3)`` Jacobians.

    Singular points:
        None; the rank drops to 2 at gimbal lock.

    Raises:
        ValueError: for an unknown order.

    Source: chapter 2.
    """
    require("euler_jacobian", angles, 3)
    axes, intrinsic = parse_order("euler_jacobian", order)
    R = euler_to_matrix(angles, order)
    sequence = (0, 1, 2) if intrinsic else (2, 1, 0)  # R is the product in this sequence
    later = torch.eye(3, dtype=R.dtype, device=R.device).expand_as(R)
    turn: list[Tensor] = [R] * 3
    for n in reversed(sequence):
        turn[n] = later[..., axes[n], :]  # later^T e
        later = axis_rotation(axes[n], angles[..., n]) @ later
    return tangent_basis(R) @ torch.stack(turn, -1)
