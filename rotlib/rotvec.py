"""Axis times angle: the exponential map of SO(3) and its inverse."""

import math

import torch
from torch import Tensor

from rotlib._input import require
from rotlib._numerics import even_function, full_precision
from rotlib.matrix import hat
from rotlib.quaternion import matrix_to_quaternion


def sine_over_angle(t: Tensor) -> Tensor:
    r""":math:`\sin\theta / \theta` as a smooth function of :math:`t = \theta^2`."""
    series = [(-1) ** k / math.factorial(2 * k + 1) for k in range(9)]
    return even_function(t, series, lambda s: torch.sin(s.sqrt()) / s.sqrt(), below=0.25)


def versine_over_square(t: Tensor) -> Tensor:
    r""":math:`(1 - \cos\theta) / \theta^2` as a smooth function of :math:`t = \theta^2`."""
    return sine_over_angle(t / 4) ** 2 / 2


@full_precision
def rotvec_to_matrix(w: Tensor) -> Tensor:
    r"""Rotation by :math:`\theta = \lVert w \rVert` radians about the axis :math:`w/\theta`.

    .. math:: \exp\hat w = I + \frac{\sin\theta}{\theta}\,\hat w
        + \frac{1 - \cos\theta}{\theta^2}\,\hat w^2

    Args:
        w: ``(..., 3)`` rotation vectors in radians, of any length whose square the dtype holds.

    Returns:
        ``(..., 3, 3)`` rotation matrices.

    Singular points:
        None: both coefficients are smooth functions of :math:`\theta^2`. Value and derivatives
        of every order are right at ``w = 0``.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: Rodrigues' formula; chapter 1, equation (1.6), proved in chapter 3.
    """
    require("rotvec_to_matrix", w, 3)
    t = (w * w).sum(-1)[..., None, None]
    W = hat(w)
    identity = torch.eye(3, dtype=w.dtype, device=w.device)
    return identity + sine_over_angle(t) * W + versine_over_square(t) * (W @ W)


def matrix_to_rotvec(R: Tensor) -> Tensor:
    r"""Rotation vector of a rotation matrix, of length at most :math:`\pi`.

    .. math:: w = \frac{\theta}{\sin(\theta/2)}\,q_v, \qquad
        \theta = 2\,\mathrm{atan2}(\lVert q_v \rVert, q_w)

    with :math:`q` the unit quaternion of ``R``. Neither ``acos`` nor ``asin`` is used, so nothing
    loses digits near 0 or near half a turn.

    Args:
        R: ``(..., 3, 3)`` rotation matrices.

    Returns:
        ``(..., 3)`` rotation vectors in radians.

    Singular points:
        At half a turn ``w`` and ``-w`` are both right; the branch of
        :func:`~rotlib.quaternion.matrix_to_quaternion` is taken, and the derivative is that
        branch's. The map jumps there; no choice avoids it (chapter 5).

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 3.
    """
    require("matrix_to_rotvec", R, 3, 3)
    q_w, q_v = matrix_to_quaternion(R).split([1, 3], -1)
    t = (q_v * q_v).sum(-1, keepdim=True)
    # asin(x)/x below; atan2(x, w)/x above: the same function, as x^2 + w^2 = 1 and w >= 0.
    series = [math.comb(2 * k, k) / (4**k * (2 * k + 1)) for k in range(10)]
    half = even_function(t, series, lambda s: torch.atan2(s.sqrt(), q_w) / s.sqrt(), below=0.01)
    return 2 * half * q_v


@full_precision
def rotvec_right_jacobian(w: Tensor) -> Tensor:
    r"""How a change of ``w`` turns ``exp(hat(w))`` on its right.

    .. math:: \exp\widehat{(w + dw)} = \exp\hat w \, \exp\widehat{(J_r\,dw)}, \qquad
        J_r = I - \frac{1 - \cos\theta}{\theta^2}\,\hat w
        + \frac{\theta - \sin\theta}{\theta^3}\,\hat w^2

    Args:
        w: ``(..., 3)`` rotation vectors in radians.

    Returns:
        ``(..., 3, 3)`` matrices.

    Singular points:
        None; the rank drops to 1 at :math:`\theta = 2\pi, 4\pi, \dots`

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`sola2018micro`; chapter 7.
    """
    require("rotvec_right_jacobian", w, 3)
    t = (w * w).sum(-1)[..., None, None]
    series = [(-1) ** k / math.factorial(2 * k + 3) for k in range(9)]
    cubic = even_function(t, series, lambda s: (1 - sine_over_angle(s)) / s, below=0.25)
    W = hat(w)
    identity = torch.eye(3, dtype=w.dtype, device=w.device)
    return identity - versine_over_square(t) * W + cubic * (W @ W)


def rotvec_left_jacobian(w: Tensor) -> Tensor:
    r"""How a change of ``w`` turns ``exp(hat(w))`` on its left.

    .. math:: \exp\widehat{(w + dw)} = \exp\widehat{(J_l\,dw)}\,\exp\hat w, \qquad
        J_l(w) = J_r(-w) = J_r(w)^\top

    Args:
        w: ``(..., 3)`` rotation vectors in radians.

    Returns:
        ``(..., 3, 3)`` matrices.

    Singular points:
        None; the rank drops to 1 at :math:`\theta = 2\pi, 4\pi, \dots`

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`sola2018micro`; chapter 7.
    """
    require("rotvec_left_jacobian", w, 3)
    return rotvec_right_jacobian(-w)


@full_precision
def rotvec_right_jacobian_inverse(w: Tensor) -> Tensor:
    r"""How a small turn on the right of ``exp(hat(w))`` changes ``w``.

    .. math:: J_r^{-1} = I + \tfrac12 \hat w
        + \frac{1 - \tfrac{\theta}{2}\cot\tfrac{\theta}{2}}{\theta^2}\,\hat w^2

    Args:
        w: ``(..., 3)`` rotation vectors in radians.

    Returns:
        ``(..., 3, 3)`` matrices.

    Singular points:
        :math:`\theta = 2\pi, 4\pi, \dots`, where the entries grow without bound.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`sola2018micro`; chapter 7.
    """
    require("rotvec_right_jacobian_inverse", w, 3)
    t = (w * w).sum(-1)[..., None, None]
    # Bernoulli numbers over factorials, |B_2k| / (2k)! for k = 1, 2, ...
    series = [1 / 12, 1 / 720, 1 / 30240, 1 / 1209600, 1 / 47900160]
    series += [691 / 1307674368000, 1 / 74724249600]

    def direct(s: Tensor) -> Tensor:
        half = s.sqrt() / 2
        return (1 - half / half.tan()) / s

    W = hat(w)
    identity = torch.eye(3, dtype=w.dtype, device=w.device)
    return identity + W / 2 + even_function(t, series, direct, below=0.25) * (W @ W)


def rotvec_left_jacobian_inverse(w: Tensor) -> Tensor:
    r"""How a small turn on the left of ``exp(hat(w))`` changes ``w``.

    .. math:: J_l^{-1}(w) = J_r^{-1}(-w) = J_r^{-1}(w)^\top

    Args:
        w: ``(..., 3)`` rotation vectors in radians.

    Returns:
        ``(..., 3, 3)`` matrices.

    Singular points:
        As :func:`rotvec_right_jacobian_inverse`.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`sola2018micro`; chapter 7.
    """
    require("rotvec_left_jacobian_inverse", w, 3)
    return rotvec_right_jacobian_inverse(-w)
