r"""The nearest rotation of 3x3 matrices without an SVD: the kernel behind ``svd_orthogonalize``.

Chapter 20 derives every step. Scale ``M`` so that its squares sum to 3, as a rotation's do. Its
cofactors ``C``, the sum ``k`` of their squares and the determinant ``d`` give the largest singular
value (20.3), that gives the trace :math:`t = s_1 + s_2 + s_3` (20.4), and the rotation is left to
products (20.6):

.. math:: Y = tM + C, \qquad D = \tfrac12 t(t^2 - 3) - d, \qquad
    tR = M + \operatorname{cof}(Y) / D

:math:`Z = Y / D` is all that the derivative needs (20.8).

Matrices are worked on in *lanes*: nine long vectors, one for each entry. One call of PyTorch then
computes one entry of many matrices, into memory that is kept from call to call.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

#: Bytes of a lane: on a CPU few enough for all lanes to stay in the cache.
LANE_ON_CPU, LANE_ELSEWHERE = 1 << 15, 1 << 20
#: The formula keeps its digits while D = (s1+s2)(s1+s3)(s2+s3) is at least this ...
SMALLEST = 1e-4
#: ... and in double precision five times this, and (s1+s2)(s1+s3) at least that.
SMALLEST_OF_TWO = 0.5


class _Wrapped:
    """Rows of three entries, wrapped around: columns 4 and 5 repeat 1 and 2, and so for rows.

    Cross products, and cofactors, are then products of the same lanes shifted by one and by two.
    """

    def __init__(self, lanes: Tensor, rows: int = 3):
        self.own, self.lanes = lanes[:rows, :3], lanes
        self.copies = [(lanes[:, 3:], lanes[:, :2])]
        if len(lanes) > rows:
            self.copies.insert(0, (lanes[rows:, :3], lanes[: len(lanes) - rows, :3]))

    def wrap(self) -> None:
        for copy, original in self.copies:
            copy.copy_(original)

    def shifts(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        rows = self.lanes[first : first + count]
        return rows[:, 1:4], rows[:, 2:]


class _Room:
    """Lanes for everything that ``size`` matrices need on the way, and the views into them.

    Views are made once: for a small batch, making them would take longer than the arithmetic.
    """

    def __init__(self, size: int, working: torch.dtype, device: torch.device):
        def lanes(*shape: int, dtype: torch.dtype = working) -> Tensor:
            return torch.empty(*shape, size, dtype=dtype, device=device)

        # In double precision: the scaled matrix, its cofactors C and its invariants.
        double = torch.float64
        self.W = _Wrapped(lanes(5, 5, dtype=double))
        self.scaled, self.W_rows = self.W.own, (self.W.shifts(1, 3), self.W.shifts(2, 3))
        self.C, self.products = lanes(3, 3, dtype=double), lanes(3, 3, dtype=double)
        self.first_row, self.first_of_C = list(self.scaled[0]), list(self.C[0])
        self.nine = self.products.view(9, size)
        self.scale, self.k, self.d, self.t, self.x, self.a, self.b = lanes(7, dtype=double)
        self.one = torch.ones(size, dtype=double, device=device)
        self.three = 3 * self.one

        # The same in the working precision, and Y.
        self.exact = working == double
        if self.exact:
            self.M, self.cofactors, self.trace, self.inverse = self.scaled, self.C, self.t, self.a
        else:
            self.M, self.cofactors = lanes(3, 3), lanes(3, 3)
            self.trace, self.inverse = lanes(2)
        self.M_top = self.M[:2]
        self.Y = _Wrapped(lanes(4, 5))
        self.Y_rows = self.Y.shifts(1, 2), self.Y.shifts(2, 2)

        # Rows that are made orthonormal, and the rotation.
        self.out, self.length = lanes(3, 3), lanes(1)[0]
        self.top, (self.row1, self.row2, _) = self.out[:2], self.out
        self.lanes1, self.lanes2 = list(self.row1), list(self.row2)
        self.R = _Wrapped(lanes(3, 5))
        self.r1, self.r2, self.r3 = self.R.own[0], self.R.own[1], self.R.own[2:]
        self.r1_lanes, self.r1_and_r2 = list(self.r1), (self.R.shifts(0, 1), self.R.shifts(1, 1))

        # What the derivative is applied to, and the turn that it asks for.
        self.G = _Wrapped(lanes(3, 5))
        self.R_and_G = self.R.shifts(0, 3), self.G.shifts(0, 3)
        self.spare, self.turn, self.w = lanes(3, 3), lanes(3), lanes(3)
        self.turned = [
            (self.out[i], self.R.own[k], self.w[j], self.R.own[j], self.w[k])
            for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1))
        ]


class _Rooms:
    """The latest rooms: fresh memory would cost as much as the arithmetic."""

    def __init__(self):
        self.kept: dict[tuple, _Room] = {}

    def take(self, like: Tensor) -> _Room:
        # Off the shelf while in use: a thread or signal handler that comes between gets another.
        key = like.shape[-1], like.dtype
        room = self.kept.pop(key, None) if like.device.type == "cpu" else None
        return room or _Room(*key, like.device)

    def give_back(self, room: _Room, like: Tensor) -> None:
        if like.device.type == "cpu":
            if len(self.kept) >= 6:
                self.kept.clear()
            self.kept[like.shape[-1], like.dtype] = room


_rooms = _Rooms()


def _dot(x: list[Tensor], y: list[Tensor], out: Tensor) -> None:
    torch.mul(x[0], y[0], out=out)
    torch.addcmul(out, x[1], y[1], out=out)
    torch.addcmul(out, x[2], y[2], out=out)


def _inner(x: Tensor, y: Tensor, room: _Room, out: Tensor) -> None:
    """Sum of the products of all nine entries."""
    torch.mul(x, y, out=room.products)
    torch.sum(room.nine, 0, out=out)


def _cross(x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], out: Tensor) -> None:
    """Of the rows whose columns, shifted by one and by two, are given."""
    torch.mul(x[0], y[1], out=out)
    torch.addcmul(out, x[1], y[0], value=-1, out=out)


def _trace(room: _Room) -> None:
    """(20.3), (20.4): s1 squared, then t = s1 + (s2 + s3)."""
    k, d, t, x, a, b = room.k, room.d, room.t, room.x, room.a, room.b
    torch.sub(room.one, k, alpha=1 / 3, out=a)
    torch.clamp(a, min=1e-30, out=a)
    torch.addcmul(room.one, d, d, value=0.5, out=b)
    torch.sub(b, k, alpha=0.5, out=b)
    torch.sqrt(a, out=x)
    torch.mul(a, x, out=a)
    torch.div(b, a, out=b)
    torch.clamp(b, -1, 1, out=b)
    torch.acos(b, out=b)
    torch.mul(b, 1 / 3, out=b)
    torch.cos(b, out=b)
    torch.addcmul(room.one, x, b, value=2, out=x)
    torch.sqrt(x, out=t)
    torch.addcdiv(x, d, t, value=-2, out=b)
    torch.sub(room.three, b, out=b)
    torch.clamp(b, min=0, out=b)
    torch.sqrt(b, out=b)
    torch.add(t, b, out=t)


def _minus_denominator(room: _Room) -> Tensor:
    """(20.5) from trace and determinant: -D."""
    torch.addcmul(room.three, room.t, room.t, value=-1, out=room.x)
    return torch.addcmul(room.d, room.t, room.x, value=0.5, out=room.x)


def _rotate(room: _Room) -> None:
    """(20.6): Y and R from M, its cofactors, the trace and -1/D."""
    torch.addcmul(room.cofactors, room.M, room.trace, out=room.Y.own)
    room.Y.wrap()
    _cross(*room.Y_rows, room.top)  # two rows of cof(Y)
    torch.addcmul(room.M_top, room.top, room.inverse, value=-1, out=room.top)
    # But for rounding they are orthogonal and of one length: Gram-Schmidt removes the rounding.
    _dot(room.lanes1, room.lanes1, room.length)
    torch.rsqrt(room.length, out=room.length)
    torch.mul(room.row1, room.length, out=room.r1)
    _dot(room.lanes2, room.r1_lanes, room.length)
    torch.addcmul(room.row2, room.r1, room.length, value=-1, out=room.row2)
    _dot(room.lanes2, room.lanes2, room.length)
    torch.rsqrt(room.length, out=room.length)
    torch.mul(room.row2, room.length, out=room.r2)
    room.R.wrap()
    _cross(*room.r1_and_r2, room.r3)


def _nearest_lanes(M: Tensor, R: Tensor, minus_Z: Tensor, accepted: Tensor) -> None:
    """Nearest rotations of the lanes ``M`` into ``R``, and minus (20.8) into ``minus_Z``."""
    room = _rooms.take(M)
    room.scaled.copy_(M)
    _inner(room.scaled, room.scaled, room, room.scale)
    torch.div(room.three, room.scale, out=room.scale)
    torch.sqrt(room.scale, out=room.scale)
    torch.mul(room.scaled, room.scale, out=room.scaled)
    room.W.wrap()
    _cross(*room.W_rows, room.C)
    _inner(room.C, room.C, room, room.k)
    _dot(room.first_row, room.first_of_C, room.d)
    _trace(room)
    minus_D = _minus_denominator(room)
    if room.exact:
        torch.mul(room.b, -SMALLEST_OF_TWO, out=room.b)  # s2 + s3, as _trace left it
        torch.clamp(room.b, max=-5 * SMALLEST, out=room.b)
        torch.lt(minus_D, room.b, out=accepted)
    else:
        torch.lt(minus_D, -SMALLEST, out=accepted)
    torch.reciprocal(minus_D, out=room.a)
    if room.exact:
        # Where s2 + s3 is small the trace has lost digits. tr(R^T M) has them all, because the
        # nearest rotation makes it stationary (20.7).
        _rotate(room)
        _inner(room.R.own, room.scaled, room, room.t)
        minus_D = _minus_denominator(room)
        torch.reciprocal(minus_D, out=room.a)
    else:
        room.M.copy_(room.scaled)
        room.cofactors.copy_(room.C)
        room.trace.copy_(room.t)
        room.inverse.copy_(room.a)
    _rotate(room)
    room.out.copy_(room.R.own)
    R.copy_(room.out)
    torch.div(room.scale, minus_D, out=room.a)
    if not room.exact:
        room.inverse.copy_(room.a)
    torch.mul(room.Y.own, room.inverse, out=minus_Z)
    _rooms.give_back(room, M)


def _differential_lanes(G: Tensor, R: Tensor, minus_Z: Tensor, out: Tensor) -> None:
    """(20.9): the derivative at ``R`` and ``Z``, applied to the lanes ``G``, into ``out``."""
    room = _rooms.take(G)
    room.G.own.copy_(G)
    room.R.own.copy_(R)
    room.G.wrap()
    room.R.wrap()
    _cross(*room.R_and_G, room.out)
    torch.sum(room.out, 0, out=room.turn)
    torch.mul(minus_Z, room.turn, out=room.spare)
    torch.sum(room.spare, 1, out=room.w)
    for row, r_k, w_j, r_j, w_k in room.turned:
        torch.mul(r_k, w_j, out=row)
        torch.addcmul(row, r_j, w_k, value=-1, out=row)
    out.copy_(room.out)
    _rooms.give_back(room, G)


def _in_lanes(*tensors: Tensor) -> Iterable[tuple[Tensor, ...]]:
    """The lanes ``(..., n)`` in chunks that fit a room."""
    first = tensors[0]
    chunk = (LANE_ON_CPU if first.device.type == "cpu" else LANE_ELSEWHERE) // first.dtype.itemsize
    if first.shape[-1] <= chunk:
        return [tensors]
    return zip(*(x.split(chunk, -1) for x in tensors), strict=True)


def nearest(M: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Nearest rotations, ``-Z`` for the derivative, and which items to trust.

    Args:
        M: ``(n, 3, 3)`` matrices, float32 or float64.

    Returns:
        ``R`` and ``-Z``, ``(n, 3, 3)``, and a mask ``(n,)``: false where the formula does not hold,
        since D is too small or not finite.
    """
    n = len(M)
    R = M.new_empty(n, 3, 3)
    minus_Z = M.new_empty_strided((n, 3, 3), (1, 3 * n, n))  # stored as lanes
    accepted = torch.empty(n, dtype=torch.bool, device=M.device)
    with torch.inference_mode():
        for lanes in _in_lanes(*(x.permute(1, 2, 0) for x in (M, R, minus_Z)), accepted):
            _nearest_lanes(*lanes)
    return R, minus_Z, accepted


def differential(change: Tensor, R: Tensor, minus_Z: Tensor) -> Tensor:
    """(20.9): ``dR`` for ``change = dM``, and the gradient at M for ``change`` = gradient at R.

    Args:
        change: ``(n, 3, 3)``, of the dtype of ``R`` and ``minus_Z``.
        R, minus_Z: as :func:`nearest` returns them.

    Returns:
        ``(n, 3, 3)``.
    """
    out = change.new_empty(len(change), 3, 3)
    with torch.inference_mode():
        for lanes in _in_lanes(*(x.permute(1, 2, 0) for x in (change, R, minus_Z, out))):
            _differential_lanes(*lanes)
    return out
