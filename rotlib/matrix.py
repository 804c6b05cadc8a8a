"""SO(3) as matrices: the test for membership, Haar-random members, and the hat and vee maps."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rotlib._input import require
from rotlib._numerics import nan_if_not_finite, normalize


def is_rotation(R: Tensor, *, tolerance: float | None = None) -> Tensor:
    r"""Whether each matrix is a rotation: orthonormal columns and determinant +1.

    .. math:: \max_{ij} |R^\top R - I|_{ij} \le \text{tolerance}, \qquad \det R > 0

    Args:
        R: ``(..., n, n)`` matrices.
        tolerance: largest allowed entry of :math:`R^\top R - I`; by default
            ``eps ** (2 / 3)`` of the dtype (2e-5 in float32, 4e-11 in float64), but no less than
            ``8 * eps``.

    Returns:
        ``(...)`` booleans; false for matrices that hold NaN or infinity.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 1, equations (1.1) and (1.2).
    """
    require("is_rotation", R, "n", "n")
    if tolerance is None:
        eps = torch.finfo(R.dtype).eps
        tolerance = float(max(eps ** (2 / 3), 8 * eps))
    working = R.double()
    gram = working.transpose(-1, -2) @ working
    identity = torch.eye(R.shape[-1], dtype=gram.dtype, device=R.device)
    orthonormal = ((gram - identity).abs() <= tolerance).flatten(-2).all(-1)
    # The determinant is only asked where it is +1 or -1 already, so that a NaN never decides.
    safe = torch.where(orthonormal[..., None, None], working, identity)
    return orthonormal & (torch.linalg.det(safe) > 0)


def random_rotations(
    n: int | Sequence[int],
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    r"""Draw rotations from the uniform (Haar) distribution on SO(3).

    A normalised Gaussian 4-vector is uniform on the unit sphere :math:`S^3`, and the quaternion
    map carries that uniformity to SO(3).

    Args:
        n: how many, or a batch shape such as ``(4, 5)``; zero gives an empty batch.
        generator: source of randomness; draws are made on its device.
        dtype: floating-point type of the result; default ``torch.get_default_dtype()``.
        device: device of the result.

    Returns:
        ``(n, 3, 3)`` rotation matrices, or ``(*n, 3, 3)`` for a shape.

    Singular points:
        None.

    Raises:
        TypeError: if ``n`` is no integer, nor a tuple or list of integers, or ``dtype`` is not
            floating-point.
        ValueError: if a size is negative.

    Source: {cite}`stuelpnagel1964parametrization` for the two-to-one map; chapter 1.
    """
    shape: tuple[Any, ...] = tuple(n) if isinstance(n, tuple | list) else (n,)
    if not all(isinstance(size, int) for size in shape):
        raise TypeError(f"random_rotations expects an integer n or a shape of integers, got {n!r}")
    if dtype is not None and not dtype.is_floating_point:
        raise TypeError(f"random_rotations expects a floating-point dtype, got {dtype}")
    if any(size < 0 for size in shape):
        raise ValueError(f"random_rotations expects n >= 0, got {n}")
    draw_on = generator.device if generator is not None else device
    q_wxyz = torch.randn(*shape, 4, generator=generator, dtype=dtype, device=draw_on)
    return unit_quaternion_to_matrix(normalize(q_wxyz.to(device)))


def hat(w: Tensor) -> Tensor:
    r"""The antisymmetric matrix of the cross product with ``w``.

    .. math:: \hat w\,x = w \times x, \qquad
        \hat w = \begin{pmatrix} 0 & -w_3 & w_2 \\ w_3 & 0 & -w_1 \\ -w_2 & w_1 & 0 \end{pmatrix}

    Args:
        w: ``(..., 3)`` vectors.

    Returns:
        ``(..., 3, 3)`` antisymmetric matrices.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 1, equation (1.5).
    """
    require("hat", w, 3)
    x, y, z = w.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def vee(W: Tensor) -> Tensor:
    r"""The vector of a matrix's antisymmetric part; the inverse of :func:`hat`.

    .. math:: \operatorname{vee}(W) = \tfrac12
        (W_{32} - W_{23},\; W_{13} - W_{31},\; W_{21} - W_{12})

    Args:
        W: ``(..., 3, 3)`` matrices; a symmetric part, if any, is ignored.

    Returns:
        ``(..., 3)`` vectors, with ``vee(hat(w)) == w``.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 1, equation (1.5).
    """
    require("vee", W, 3, 3)
    A = (W - W.transpose(-1, -2)) / 2
    w = torch.stack([A[..., 2, 1], A[..., 0, 2], A[..., 1, 0]], -1)
    return w + nan_if_not_finite(W)[..., None]


def tangent_basis(R: Tensor) -> Tensor:
    """``vec(R hat(e_m))`` for the three unit vectors: ``(..., 3, 3)`` to ``(..., 9, 3)``."""
    generators = hat(torch.eye(3, dtype=R.dtype, device=R.device))
    return (R[..., None, :, :] @ generators).flatten(-2).transpose(-1, -2)


def unit_quaternion_to_matrix(q_wxyz: Tensor) -> Tensor:
    """Equation (4.2), for quaternions of length one."""
    w, x, y, z = q_wxyz.unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))
