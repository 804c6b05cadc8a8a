"""The reference that every closed-form derivative is checked against, and the registry of them.

Matrices are read row by row: ``vec(M) = M.reshape(9)``. Tangent vectors perturb on the right,
``R exp(hat(w))``, so that a column of a Jacobian is ``vec(R hat(w))`` for some ``w``. Each closed
form stands in the file of its map. They are values: for a second derivative, differentiate the map
itself.
"""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from rotlib._input import require_float
from rotlib.codes import rot6d_to_matrix
from rotlib.euler import euler_jacobian, euler_to_matrix
from rotlib.matrix import hat, random_rotations, tangent_basis
from rotlib.orthogonalize import gram_schmidt_jacobian, svd_jacobian, svd_orthogonalize
from rotlib.quaternion import quaternion_jacobian, quaternion_to_matrix
from rotlib.rotvec import (
    matrix_to_rotvec,
    rotvec_left_jacobian,
    rotvec_left_jacobian_inverse,
    rotvec_right_jacobian,
    rotvec_right_jacobian_inverse,
    rotvec_to_matrix,
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

#: Every closed-form Jacobian of the library by name; the tests walk it.
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
