"""Every boxed derivative of the book, in closed form and batched.

Matrices are read row by row: ``vec(M) = M.reshape(9)``. Tangent vectors perturb on the right,
``R exp(hat(w))``, so that a column of a Jacobian is ``vec(R hat(w))`` for some ``w``.

The closed forms are values. For a second derivative, differentiate the map itself.
"""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from rotlib._input import require, require_float, require_square
from rotlib._numerics import (
    dot,
    even_function,
    full_precision,
    length,
    nan_if_not_finite,
    normalize,
)
from rotlib.euler import axis_rotation, euler_to_matrix, parse_order
from rotlib.matrix import hat, random_rotations
from rotlib.codes import rot6d_to_matrix
from rotlib.orthogonalize import svd_orthogonalize
from rotlib.svd import pair_gains, signed_svd
from rotlib.quaternion import quaternion_to_matrix
from rotlib.rotvec import (
    matrix_to_rotvec,
    rotvec_to_matrix,
    sine_over_angle,
    versine_over_square,
)


@torch.enable_grad()
def autograd_jacobian(
    f: Callable[[Tensor], Tensor], x: Tensor, *, event_dims: int | None = None
) -> Tensor:
    r"""Jacobian of ``f`` at ``x`` by reverse-mode autograd: the reference for every closed form.

    Inputs and outputs are flattened row by row; batch items must not depend on one another.

    Args:
        f: a function of a tensor that accepts leading batch dimensions.
        x: ``(*batch, *event)`` input.
        event_dims: how many last dimensions of ``x`` make one input. By default the fewest (at
            least one) with which ``f``, given single items, returns what it returns for them in
            the batch: one for ``rot6d_to_matrix``, two for ``svd_orthogonalize``, all of them if
            ``f`` mixes the items.

    Returns:
        ``(*batch, outputs, inputs)``.

    Singular points:
        None.

    Raises:
        TypeError: if ``x`` is not a floating-point tensor.
        ValueError: if ``event_dims`` does not fit ``f``.

    Source: chapter 6.
    """
    require_float("autograd_jacobian", x)
    x = x.detach().requires_grad_()
    y = f(x)
    if event_dims is None:
        candidates = range(1, x.dim() + 1)
        event_dims = next((k for k in candidates if _splits(f, x.detach(), y, k)), 0)
    if (
        not 0 <= event_dims <= x.dim()
        or y.shape[: x.dim() - event_dims] != (x.shape[: x.dim() - event_dims])
    ):
        raise ValueError(
            f"autograd_jacobian cannot split input {tuple(x.shape)} and output {tuple(y.shape)} "
            f"into batch and event with event_dims={event_dims}"
        )
    batch, event = x.shape[: x.dim() - event_dims], x.shape[x.dim() - event_dims :]
    outputs = y.reshape(*batch, math.prod(y.shape[len(batch) :]))
    if not y.requires_grad:
        return x.new_zeros(*batch, outputs.shape[-1], event.numel())
    rows = [
        torch.autograd.grad(outputs[..., n].sum(), x, retain_graph=True, materialize_grads=True)[0]
        for n in range(outputs.shape[-1])
    ]
    return torch.stack([row.reshape(*batch, event.numel()) for row in rows], -2)


def _splits(f: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, event_dims: int) -> bool:
    """Whether ``f`` maps single items of ``event_dims`` dimensions as it maps them in the batch."""
    batch, event = x.shape[: x.dim() - event_dims], x.shape[x.dim() - event_dims :]
    if not batch:
        return True
    items, results = x.reshape(-1, *event), y.reshape(-1, *y.shape[len(batch) :])
    try:
        if not len(items):
            return y.shape == batch + f(x.new_ones(event)).shape
        for item, result in ((items[0], results[0]), (items[-1], results[-1])):
            alone = f(item)
            if alone.shape != result.shape or not torch.allclose(
                alone, result, rtol=1e-3, atol=1e-6, equal_nan=True
            ):
                return False
        return len(items) == len(results)
    except (ValueError, TypeError, RuntimeError, IndexError):
        return False


def tangent_basis(R: Tensor) -> Tensor:
    """``vec(R hat(e_m))`` for the three unit vectors: ``(..., 3, 3)`` to ``(..., 9, 3)``."""
    generators = hat(torch.eye(3, dtype=R.dtype, device=R.device))
    return (R[..., None, :, :] @ generators).flatten(-2).transpose(-1, -2)


# --- nearest rotation ---


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


# --- Gram-Schmidt ---


def _gram_schmidt_frame(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rotation, and alpha = |a1|, beta = |a2 - (r1.a2) r1|, gamma = r1.a2, each ``(..., 1)``."""
    R = rot6d_to_matrix(x)
    a1, a2 = x.unflatten(-1, (2, 3)).unbind(-2)
    r1, r2 = R[..., 0], R[..., 1]
    alpha, gamma, beta = dot(r1, a1), dot(r1, a2), dot(r2, a2)
    return R, alpha, beta, gamma


@full_precision
def gram_schmidt_jacobian(x: Tensor) -> Tensor:
    r"""Jacobian of :func:`~rotlib.orthogonalize.rot6d_to_matrix`.

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
        NaN where ``a1 = 0`` or the columns are parallel.

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
        NaN where ``a1 = 0`` or the columns are parallel.

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


# --- rotation vectors ---


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


# --- quaternions and Euler angles ---


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
        None.

    Raises:
        ValueError: if a quaternion is exactly zero.

    Source: chapter 4.
    """
    require("quaternion_jacobian", q_wxyz, 4)
    R = quaternion_to_matrix(q_wxyz)
    w, v = normalize(q_wxyz).split([1, 3], -1)
    identity = torch.eye(3, dtype=R.dtype, device=R.device)
    turn = torch.cat([-v[..., None], w[..., None] * identity - hat(v)], -1)
    return tangent_basis(R) @ (turn * (2 / length(q_wxyz)[..., None]))


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


# --- the registry ---


class Derivative(NamedTuple):
    """A closed form, the autograd reference it must match, and typical inputs to try both on."""

    by_hand: Callable[[Tensor], Tensor]
    by_autograd: Callable[[Tensor], Tensor]
    sample: Callable[[int, torch.Generator], Tensor]


def _gaussian(*shape: int) -> Callable[[int, torch.Generator], Tensor]:
    return lambda n, generator: torch.randn(n, *shape, generator=generator, dtype=torch.float64)


def _rotvecs(n: int, generator: torch.Generator) -> Tensor:
    return matrix_to_rotvec(random_rotations(n, generator=generator, dtype=torch.float64))


def _left_basis(R: Tensor) -> Tensor:
    """``vec(hat(e_m) R)``: tangent vectors that perturb on the left."""
    generators = hat(torch.eye(3, dtype=R.dtype, device=R.device))
    return (generators @ R[..., None, :, :]).flatten(-2).mT


def _exp_turn(basis: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """d exp in the coordinates of ``basis``, whose columns are orthogonal and of length sqrt 2."""
    return lambda w: (
        basis(rotvec_to_matrix(w)).mT @ autograd_jacobian(rotvec_to_matrix, w, event_dims=1) / 2
    )


def _log_turn(basis: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """d log along the columns of ``basis``."""
    return lambda w: (
        autograd_jacobian(matrix_to_rotvec, rotvec_to_matrix(w)) @ basis(rotvec_to_matrix(w))
    )


def _of(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: autograd_jacobian(f, x)


#: The 12 orders of three axes with none twice in a row, intrinsic and extrinsic.
ORDERS = [
    "".join(letters)
    for axes in ("XYZ", "xyz")
    for letters in itertools.product(axes, repeat=3)
    if letters[0] != letters[1] != letters[2]
]

#: Every closed-form Jacobian of this module by name; the tests walk it.
DERIVATIVES: dict[str, Derivative] = {
    "svd_jacobian": Derivative(svd_jacobian, _of(svd_orthogonalize), _gaussian(3, 3)),
    "gram_schmidt_jacobian": Derivative(gram_schmidt_jacobian, _of(rot6d_to_matrix), _gaussian(6)),
    "quaternion_jacobian": Derivative(quaternion_jacobian, _of(quaternion_to_matrix), _gaussian(4)),
    "rotvec_right_jacobian": Derivative(rotvec_right_jacobian, _exp_turn(tangent_basis), _rotvecs),
    "rotvec_left_jacobian": Derivative(rotvec_left_jacobian, _exp_turn(_left_basis), _rotvecs),
    "rotvec_right_jacobian_inverse": Derivative(
        rotvec_right_jacobian_inverse, _log_turn(tangent_basis), _rotvecs
    ),
    "rotvec_left_jacobian_inverse": Derivative(
        rotvec_left_jacobian_inverse, _log_turn(_left_basis), _rotvecs
    ),
} | {
    f"euler_jacobian {order}": Derivative(
        lambda angles, order=order: euler_jacobian(angles, order),
        lambda angles, order=order: autograd_jacobian(lambda a: euler_to_matrix(a, order), angles),
        _gaussian(3),
    )
    for order in ORDERS
}
