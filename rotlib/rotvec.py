"""Axis times angle: the exponential map of SO(3) and its inverse."""

import math

import torch
from torch import Tensor

from rotlib._input import require, require_float, require_pair
from rotlib._numerics import even_function, full_precision, normalize, where_defined
from rotlib.matrix import hat
from rotlib.quaternion import matrix_to_quaternion, quaternion_conjugate, quaternion_multiply

_ONE = torch.tensor([1.0, 0, 0, 0])


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
    return _unit_quaternion_to_rotvec(matrix_to_quaternion(R))


def _unit_quaternion_to_rotvec(q_wxyz: Tensor) -> Tensor:
    """For quaternions of length one with a scalar part that is not negative."""
    q_w, q_v = q_wxyz.split([1, 3], -1)
    t = (q_v * q_v).sum(-1, keepdim=True)
    # asin(x)/x below; atan2(x, w)/x above: the same function, as x^2 + w^2 = 1 and w >= 0.
    series = [math.comb(2 * k, k) / (4**k * (2 * k + 1)) for k in range(10)]
    half = even_function(t, series, lambda s: torch.atan2(s.sqrt(), q_w) / s.sqrt(), below=0.01)
    return 2 * half * q_v


def quaternion_to_rotvec(q_wxyz: Tensor) -> Tensor:
    r"""Rotation vector of a quaternion, of length at most :math:`\pi`.

    .. math:: w = \frac{\theta}{\sin(\theta/2)}\,q_v, \qquad
        \theta = 2\,\mathrm{atan2}(\lVert q_v \rVert, q_w)

    for :math:`q` made of length one and, where :math:`q_w < 0`, replaced by :math:`-q`, which is
    the same rotation the shorter way round.

    Args:
        q_wxyz: ``(..., 4)`` quaternions, scalar part first, any nonzero length.

    Returns:
        ``(..., 3)`` rotation vectors in radians.

    Singular points:
        A quaternion of zeros has no direction: NaN in that item alone, with derivative zero. At
        half a turn, :math:`q_w = 0`, both ways are equally short: that along :math:`q_v` is taken,
        with the derivative of that branch, so ``q`` and ``-q`` give opposite vectors there. At
        ``w = 0`` the derivatives of every order are right.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 4.
    """
    require("quaternion_to_rotvec", q_wxyz, 4)
    return where_defined((q_wxyz != 0).any(-1), _quaternion_to_rotvec, q_wxyz, _ONE)


def _quaternion_to_rotvec(q_wxyz: Tensor) -> Tensor:
    q_wxyz = normalize(q_wxyz)
    return _unit_quaternion_to_rotvec(torch.where(q_wxyz[..., :1] < 0, -q_wxyz, q_wxyz))


def rotvec_to_quaternion(w: Tensor) -> Tensor:
    r"""Unit quaternion of the rotation by :math:`\theta = \lVert w \rVert` about ``w``.

    .. math:: q = \Big(\cos\frac\theta2,\; \frac{\sin(\theta/2)}{\theta}\,w\Big)

    Args:
        w: ``(..., 3)`` rotation vectors in radians, of any length whose square the dtype holds.

    Returns:
        ``(..., 4)`` quaternions ``wxyz`` of unit length; the scalar part is negative for
        :math:`\pi < \theta < 3\pi`, so that the map is smooth.

    Singular points:
        None: both coefficients are smooth functions of :math:`\theta^2`. Value and derivatives
        of every order are right at ``w = 0``.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 4.
    """
    require("rotvec_to_quaternion", w, 3)
    t = (w * w).sum(-1, keepdim=True) / 4
    series = [(-1) ** k / math.factorial(2 * k) for k in range(9)]
    cosine = even_function(t, series, lambda s: torch.cos(s.sqrt()), below=0.25)
    return torch.cat([cosine, sine_over_angle(t) / 2 * w], -1)


def slerp(p_wxyz: Tensor, q_wxyz: Tensor, share: Tensor | float) -> Tensor:
    r"""Turn from ``p`` towards ``q`` at constant speed, the shorter way, by a share of that way.

    .. math:: &p \exp\big(\text{share} \cdot \log(p^{-1} q)\big) \\
        &\quad = \frac{\sin((1 - \text{share})\,\varphi)\,p + \sin(\text{share}\;\varphi)\,q}
        {\sin\varphi}, \qquad \cos\varphi = p \cdot q \ge 0

    ``q`` and ``-q`` are the same rotation, and the one nearer to ``p`` is where the way ends.

    Args:
        p_wxyz: ``(..., 4)`` quaternions, scalar part first, any nonzero length.
        q_wxyz: ``(..., 4)`` quaternions.
        share: 0 for ``p``, 1 for ``q``, beyond them to turn further; a number, or a tensor
            ``(...)``. The batch shapes of all three broadcast.

    Returns:
        ``(..., 4)`` quaternions ``wxyz`` of unit length.

    Singular points:
        None for ``p = q`` or ``p = -q``: value and derivatives are right. For rotations half a
        turn apart, :math:`p \cdot q = 0`, both ways are equally short: the way to ``q`` itself, not
        ``-q``, is taken, with the derivative of that branch. A quaternion of zeros gives NaN in
        that item alone, with derivative zero.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: Shoemake's spherical linear interpolation (1985); chapter 4 for products.
    """
    require_pair("slerp", p_wxyz, q_wxyz, 4)
    if isinstance(share, Tensor):
        _require_share(share, p_wxyz, q_wxyz)
        share = share[..., None]
    elif not isinstance(share, int | float):
        raise TypeError(f"slerp expects share to be a number or tensor, got {type(share).__name__}")
    defined = ((p_wxyz != 0).any(-1) & (q_wxyz != 0).any(-1))[..., None]
    p, q = (normalize(torch.where(defined, x, _ONE.to(x))) for x in (p_wxyz, q_wxyz))
    turn = quaternion_to_rotvec(quaternion_multiply(quaternion_conjugate(p), q))
    between = quaternion_multiply(p, rotvec_to_quaternion(share * turn))
    return torch.where(defined, between, torch.nan)


def _require_share(share: Tensor, p: Tensor, q: Tensor) -> None:
    require_float("slerp", share, "for share")
    if share.dtype != p.dtype:
        raise TypeError(f"slerp expects one dtype for all, got {p.dtype} and {share.dtype}")
    try:
        torch.broadcast_shapes(share.shape, p.shape[:-1], q.shape[:-1])
    except RuntimeError:
        raise ValueError(
            f"slerp expects batch shapes that broadcast, got {tuple(p.shape)}, {tuple(q.shape)} "
            f"and share {tuple(share.shape)}"
        ) from None


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
