"""Heads: what a network outputs, what the loss sees, and what is returned at inference."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

from torch import Tensor

from rotlib._input import require
from rotlib.codes import rot5d_to_matrix, rot6d_to_matrix, rot9d_to_matrix, rot10d_to_matrix
from rotlib.euler import euler_to_matrix
from rotlib.experiments.surrogates import fisher_train, recombined_train, rpmg_train
from rotlib.orthogonalize import gram_schmidt
from rotlib.quaternion import quaternion_to_matrix
from rotlib.rotvec import rotvec_to_matrix
from rotlib.stabilized import (
    clip_item_gradients,
    svd_orthogonalize_clamped,
    svd_orthogonalize_taylor,
    svd_orthogonalize_unit_gains,
)

Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Head:
    r"""One way to make rotations of a network's output: all that anybody needs to know of it.

    Attributes:
        width: how many numbers the network outputs for each rotation.
        train: ``(..., width)`` to what the loss compares with the target: ``(..., 3, 3)``
            matrices, or ``(..., 3, 2)`` for the first two columns only.
        infer: ``(..., width)`` to ``(..., 3, 3)`` rotations.
        name: what code and tables call it.
        label: what figures call it.
        color: its colour in all figures.
        penalty: weight of :math:`\lVert M^\top M - I\rVert_F^2` added to the loss, where ``M``
            is what ``train`` returns.
        hold: weight of :math:`\tfrac12\lVert M - R\rVert_F^2` added to the loss, where ``M`` are
            the nine numbers and ``R`` the rotation nearest to them.
        schedule: pairs of a share of the steps and the head to train as until then, earliest
            first; after the last one it trains as itself.
        ablation: made to take another head apart, not to be used.
    """

    width: int
    train: Map
    infer: Map
    _: KW_ONLY
    name: str = "unnamed"
    label: str = "unnamed"
    color: str = "gray"
    penalty: float = 0.0
    hold: float = 0.0
    schedule: "tuple[tuple[float, Head], ...]" = ()
    ablation: bool = False

    def at(self, share: float) -> "Head":
        """The head to train as when this share of the steps is done."""
        return next((head for until, head in self.schedule if share < until), self)


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


def _unit_gains(x: Tensor) -> Tensor:
    return svd_orthogonalize_unit_gains(_matrix(x))


def _item_clip(x: Tensor) -> Tensor:
    return rot9d_to_matrix(clip_item_gradients(x, 1.0))


def _recombined(direction: str, length: str) -> Map:
    return lambda x: recombined_train(_matrix(x), direction, length)


def _in_the_loop(name: str, label: str, color: str, width: int, to_matrix: Map) -> Head:
    return Head(width, to_matrix, to_matrix, name=name, label=label, color=color)


def _nine(name: str, label: str, color: str, train: Map, **more: Any) -> Head:
    """Nine numbers, of which SVD makes a rotation at inference, however they are trained."""
    return Head(9, train, rot9d_to_matrix, name=name, label=label, color=color, **more)


_DIRECT = _nine("9d-raw", "direct", "#D55E00", _matrix)

_ALL = (
    _in_the_loop("euler", "Euler angles", "#E69F00", 3, _euler),
    _in_the_loop("rotvec", "rotation vector", "#CC79A7", 3, rotvec_to_matrix),
    _in_the_loop("quaternion", "quaternion", "#56B4E9", 4, quaternion_to_matrix),
    _in_the_loop("5d", "5D", "#8C6D31", 5, rot5d_to_matrix),
    _in_the_loop("6d-gs", "6D", "#009E73", 6, rot6d_to_matrix),
    Head(6, _two_columns, rot6d_to_matrix, name="6d-raw", label="6D direct", color="#7FCDBB"),
    _DIRECT,
    Head(
        9, _matrix, _two_columns_of_nine,
        name="9d-raw-gs", label="direct + Gram–Schmidt", color="#F2A679",
    ),
    _nine("9d-svd", "through SVD", "#0072B2", rot9d_to_matrix),
    _nine("9d-svd-clamped", "through SVD, clamped", "#74A9CF", _clamped),
    _nine("9d-svd-taylor", "through SVD, Taylor", "#4B5FA5", _taylor),
    _nine("9d-rpmg", "RPMG", "#9A9A2E", _rpmg),
    _nine("9d-fisher", "matrix Fisher", "#4D4D4D", _fisher),
    _in_the_loop("10d", "10D", "#6A4C93", 10, rot10d_to_matrix),
    # What may mend direct regression where the loss is downstream (chapter 16) ...
    _nine("9d-raw-penalty", "direct with penalty", "#B2182B", _matrix, penalty=0.1),
    _nine(
        "9d-raw-then-svd", "direct, then through SVD", "#AA3FAA", rot9d_to_matrix,
        schedule=((0.5, _DIRECT),),
    ),
    # ... and SVD in the loop (chapter 14).
    _nine("9d-svd-unit-gains", "SVD, unit gains", "#1B9E9E", _unit_gains),
    _nine(
        "9d-raw-then-unit-gains", "direct, then unit gains", "#7A0177", _unit_gains,
        schedule=((0.5, _DIRECT),),
    ),
    _nine("9d-svd-item-clip", "SVD, clipped item by item", "#3B7D23", _item_clip),
    # Why it needs mending: named by what was changed in SVD's gradient (chapter 14).
    _nine(
        "9d-svd-length-of-unit-gains", "SVD, length of unit gains", "#9370DB",
        _recombined("svd", "unit gains"), ablation=True,
    ),
    _nine(
        "9d-svd-direction-of-unit-gains", "SVD, direction of unit gains", "#5B3A1E",
        _recombined("unit gains", "svd"), ablation=True,
    ),
    _nine(
        "9d-svd-unit-gains-with-size", "SVD, unit gains with size", "#E6AB02",
        _recombined("unit gains", "unit gains with size"), ablation=True,
    ),
    _nine(
        "9d-svd-without-size", "SVD, without size", "#C51B7D",
        _recombined("svd", "svd without size"), ablation=True,
    ),
    # What else was tried to make one head of both: the turn of unit gains, and a pull of the
    # matrix towards its own rotation (chapter 18).
    _nine(
        "9d-svd-unit-gains-held", "SVD, unit gains, held", "#00441B", _unit_gains,
        hold=1.0, ablation=True,
    ),
    _nine(
        "9d-svd-unit-gains-held-lightly", "SVD, unit gains, held lightly", "#66A61E",
        _unit_gains, hold=0.1, ablation=True,
    ),
)  # fmt: skip

#: Every head of the book: name to :class:`Head`. Figures, sweeps and tests walk this table.
HEADS: dict[str, Head] = {head.name: head for head in _ALL}


def find_head(head: "str | Head") -> Head:
    """The head of that name; a :class:`Head` passes through.

    Raises:
        ValueError: for an unknown name; lists the known ones.
    """
    if isinstance(head, Head):
        return head
    if not isinstance(head, str) or head not in HEADS:
        raise ValueError(f"unknown head {head!r}; known are {', '.join(HEADS)}")
    return HEADS[head]
