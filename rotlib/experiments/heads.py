"""Heads: what a network outputs, what the loss sees, and what is returned at inference."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from rotlib._input import require
from rotlib._numerics import length
from rotlib.euler import euler_to_matrix
from rotlib.experiments.surrogates import dissected_train, fisher_train, rpmg_train
from rotlib.orthogonalize import (
    gram_schmidt,
    rot5d_to_matrix,
    rot6d_to_matrix,
    rot9d_to_matrix,
    rot10d_to_matrix,
    svd_orthogonalize,
)
from rotlib.quaternion import quaternion_to_matrix
from rotlib.rotvec import rotvec_to_matrix
from rotlib.stabilized import svd_orthogonalize_clamped, svd_orthogonalize_taylor

Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Head:
    """One way to make rotations of a network's output.

    Attributes:
        width: how many numbers the network outputs for each rotation.
        train: ``(..., width)`` to what the loss compares with the target: ``(..., 3, 3)``
            matrices, or ``(..., 3, 2)`` for the first two columns only.
        infer: ``(..., width)`` to ``(..., 3, 3)`` rotations.
        penalty: weight of :math:`\\lVert M^\\top M - I\\rVert_F^2` added to the loss, where ``M``
            is what ``train`` returns.
        starts_as: the head to train as during the first half of the steps; ``None`` for itself.
    """

    width: int
    train: Map
    infer: Map
    penalty: float = 0.0
    starts_as: "Head | None" = None


def _matrix(x: Tensor) -> Tensor:
    require("a raw 9d head", x, 9)
    return x.unflatten(-1, (3, 3))


def _two_columns(x: Tensor) -> Tensor:
    require("a raw 6d head", x, 6)
    return x.unflatten(-1, (2, 3)).mT


def _euler(x: Tensor) -> Tensor:
    return euler_to_matrix(x, "XYZ")


def _clamped(x: Tensor) -> Tensor:
    return svd_orthogonalize_clamped(_matrix(x), 1e-2)


def _taylor(x: Tensor) -> Tensor:
    return svd_orthogonalize_taylor(_matrix(x), 10)


def _two_columns_of_nine(x: Tensor) -> Tensor:
    return gram_schmidt(_matrix(x)[..., :2])


def _fisher(x: Tensor) -> Tensor:
    return fisher_train(_matrix(x))


def _rpmg(x: Tensor) -> Tensor:
    return rpmg_train(_matrix(x))


def _clipped(x: Tensor) -> Tensor:
    M = _matrix(x)
    if M.requires_grad:
        M.register_hook(lambda g: g * (1 / length(g.flatten(-2))[..., None]).clamp(max=1))
    return svd_orthogonalize(M)


def _dissected(direction: str, size: str) -> Head:
    def train(x: Tensor) -> Tensor:
        return dissected_train(_matrix(x), direction, size)

    return Head(9, train, rot9d_to_matrix)


def _in_the_loop(width: int, to_matrix: Map) -> Head:
    return Head(width, to_matrix, to_matrix)


#: Every head of the book: name to :class:`Head`. Plots, sweeps and tests walk this table.
HEADS: dict[str, Head] = {
    "euler": _in_the_loop(3, _euler),
    "rotvec": _in_the_loop(3, rotvec_to_matrix),
    "quaternion": _in_the_loop(4, quaternion_to_matrix),
    "5d": _in_the_loop(5, rot5d_to_matrix),
    "6d-gs": _in_the_loop(6, rot6d_to_matrix),
    "6d-raw": Head(6, _two_columns, rot6d_to_matrix),
    "9d-raw": Head(9, _matrix, rot9d_to_matrix),
    "9d-raw-gs": Head(9, _matrix, _two_columns_of_nine),
    "9d-svd": _in_the_loop(9, rot9d_to_matrix),
    "9d-svd-clamped": Head(9, _clamped, rot9d_to_matrix),
    "9d-svd-taylor": Head(9, _taylor, rot9d_to_matrix),
    "9d-rpmg": Head(9, _rpmg, rot9d_to_matrix),
    "9d-fisher": Head(9, _fisher, rot9d_to_matrix),
    "10d": _in_the_loop(10, rot10d_to_matrix),
}

#: What may mend direct regression where the loss is downstream (chapter 16).
REMEDIES: dict[str, Head] = {
    "9d-raw-penalty": replace(HEADS["9d-raw"], penalty=0.1),
    "9d-raw-then-svd": replace(HEADS["9d-svd"], starts_as=HEADS["9d-raw"]),
}

#: SVD in the loop with its gradient taken apart, or cut to length 1 item by item (chapter 14).
ABLATIONS: dict[str, Head] = {
    "9d-even": _dissected("even", "even"),
    "9d-svd-direction": _dissected("svd", "even"),
    "9d-svd-length": _dissected("even", "svd"),
    "9d-even-scale": _dissected("even", "scale"),
    "9d-svd-pole": _dissected("svd", "pole"),
    "9d-svd-clipped": Head(9, _clipped, rot9d_to_matrix),
}


def find_head(head: "str | Head") -> Head:
    """The head of that name; a :class:`Head` passes through.

    Raises:
        ValueError: for an unknown name; lists the known ones.
    """
    if isinstance(head, Head):
        return head
    known = HEADS | REMEDIES | ABLATIONS
    if not isinstance(head, str) or head not in known:
        raise ValueError(f"unknown head {head!r}; known are {', '.join(known)}")
    return known[head]
