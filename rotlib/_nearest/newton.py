r"""Derivatives of the nearest rotation by Newton's method: any order, any transform, any dimension.

Take the nearest rotation ``R`` of ``M``, and what solves :math:`XH + HX = B`, as constants. One
step of Newton's method from them changes the value by a rounding error only. But the result is a
function of ``M``, and its first derivative is that of the nearest rotation. Each further step
doubles the number of derivatives that are right, as it would double the number of digits. Only
sums and products are recorded, so that autograd, ``torch.func`` and compilers can follow.
"""

from collections.abc import Callable

from torch import Tensor

from rotlib._numerics import trace

#: Antisymmetric ``B`` to the antisymmetric ``X`` with ``XH + HX = B``.
Solver = Callable[[Tensor], Tensor]


def solver_in_space(P: Tensor) -> Solver:
    """From ``P = (tr(H) I - H)^-1``, which takes the axis of ``B`` to that of ``X``."""
    sum_of_gains = trace(P)
    return lambda B: _antisymmetric(sum_of_gains * B - P @ B - B @ P)


def solver_from_eigenvectors(V: Tensor, gains: Tensor) -> Solver:
    r"""From :math:`H = V \operatorname{diag}(s) V^\top` and ``gains = 1 / (s_i + s_j)``."""
    return lambda B: _antisymmetric(
        V @ ((V.transpose(-1, -2) @ B @ V) * gains) @ V.transpose(-1, -2)
    )


def _antisymmetric(X: Tensor) -> Tensor:
    """But for rounding ``X`` is; the symmetric part that rounding adds would grow step by step."""
    return (X - X.transpose(-1, -2)) / 2


def with_derivatives(M: Tensor, R: Tensor, solve: Solver) -> Tensor:
    """``R`` as a function of ``M`` with exact derivatives of orders one, two and three.

    Args:
        M: ``(..., n, n)`` matrices.
        R: their nearest rotations, constants.
        solve: the solver for ``H = R^T M``, a constant too.
    """
    better, solve = _step(M, R, solve)
    better = _turned(better, solve(_skew(better, M)))
    return R + (better - better.detach())  # where steps are long only R is sure to be a rotation


def gradient_with_derivatives(G: Tensor, M: Tensor, R: Tensor, solve: Solver) -> Tensor:
    """The gradient at ``M`` for the gradient ``G`` at ``R``, with exact derivatives up to three."""
    R, solve = _step(M, *_step(M, R, solve))
    return R @ solve(_skew(R, G))


def _step(M: Tensor, R: Tensor, solve: Solver) -> tuple[Tensor, Solver]:
    R = _turned(R, solve(_skew(R, M)))
    H = R.transpose(-1, -2) @ M
    H = (H + H.transpose(-1, -2)) / 2

    def solve_better(B: Tensor) -> Tensor:
        X = solve(B)
        return X + solve(B - X @ H - H @ X)

    return R, solve_better


def _skew(R: Tensor, M: Tensor) -> Tensor:
    turned = R.transpose(-1, -2) @ M
    return turned - turned.transpose(-1, -2)


def _turned(R: Tensor, X: Tensor) -> Tensor:
    """``R exp(X)`` to third order in ``X``."""
    square = X @ X
    return R + R @ (X + square / 2 + X @ square / 6)
