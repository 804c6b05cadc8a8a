r"""The nearest rotation from its trace, equations (20.1) to (20.9), one matrix at a time.

The same as :mod:`rotlib._nearest.formula`, compiled by Numba for the processor at hand. A matrix is
a tuple of three rows. Sixteen matrices make a *block*: a table whose row ``k`` holds entry ``k``
of all of them, so that the compiler can let four or eight share each instruction.
"""

import math
from collections.abc import Callable

import numpy as np
from numba import njit

from rotlib._nearest.formula import POLYNOMIAL, SMALLEST, SMALLEST_OF_TWO

#: Matrices in a block.
BLOCK = 16
COEFFICIENTS = np.array(POLYNOMIAL)

OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "arcp"},  # NaN and infinity keep their meaning
    "forceinline": True,
}


def compiled(function: Callable) -> Callable:
    """By Numba, at the first call; kept on disk for the next process, if there is a place."""
    try:
        return njit(cache=True, **OPTIONS)(function)
    except RuntimeError:
        return njit(**OPTIONS)(function)


@compiled
def cross(x, y):
    return (
        x[1] * y[2] - x[2] * y[1],
        x[2] * y[0] - x[0] * y[2],
        x[0] * y[1] - x[1] * y[0],
    )


@compiled
def dot(x, y):
    return x[0] * y[0] + x[1] * y[1] + x[2] * y[2]


@compiled
def times(a, x):
    return a * x[0], a * x[1], a * x[2]


@compiled
def plus(x, a, y):
    return x[0] + a * y[0], x[1] + a * y[1], x[2] + a * y[2]


@compiled
def inner(x, y):
    return dot(x[0], y[0]) + dot(x[1], y[1]) + dot(x[2], y[2])


@compiled
def times_matrix(a, x):
    return times(a, x[0]), times(a, x[1]), times(a, x[2])


@compiled
def plus_matrix(x, a, y):
    return plus(x[0], a, y[0]), plus(x[1], a, y[1]), plus(x[2], a, y[2])


@compiled
def cofactors(m):
    """(20.1)"""
    return cross(m[1], m[2]), cross(m[2], m[0]), cross(m[0], m[1])


@compiled
def cosine_of_a_third(c):
    """cos(arccos(c) / 3), as a polynomial that lanes can share."""
    v = 2.0 * math.sqrt(0.5 + 0.5 * c) - 1.0
    value = 0.0
    for n in range(len(COEFFICIENTS)):
        value = value * v + COEFFICIENTS[n]
    return value


@compiled
def trace(k, d):
    """(20.3), (20.4): ``t = s1 + (s2 + s3)``, and ``s2 + s3``."""
    a = max(1.0 - k / 3.0, 1e-30)
    b = 1.0 - 0.5 * k + 0.5 * d * d
    root = math.sqrt(a)
    x = 1.0 + 2.0 * root * cosine_of_a_third(min(max(b / (a * root), -1.0), 1.0))
    s1 = math.sqrt(x)
    rest = math.sqrt(max(3.0 - x + 2.0 * d / s1, 0.0))
    return s1 + rest, rest


@compiled
def denominator(t, d):
    """(20.5): D."""
    return 0.5 * t * (t * t - 3.0) - d


@compiled
def from_trace(m, c, t, D):
    """(20.6): the rotation, but for rounding; Gram-Schmidt on its rows removes the rounding."""
    y = plus_matrix(c, t, m)
    r1 = plus(m[0], 1.0 / D, cross(y[1], y[2]))
    r2 = plus(m[1], 1.0 / D, cross(y[2], y[0]))
    r1 = times(1.0 / math.sqrt(dot(r1, r1)), r1)
    r2 = plus(r2, -dot(r1, r2), r1)
    r2 = times(1.0 / math.sqrt(dot(r2, r2)), r2)
    return r1, r2, cross(r1, r2)


@compiled
def load(table, row, n):
    i = row * BLOCK + n
    return (
        (table[i], table[i + BLOCK], table[i + 2 * BLOCK]),
        (table[i + 3 * BLOCK], table[i + 4 * BLOCK], table[i + 5 * BLOCK]),
        (table[i + 6 * BLOCK], table[i + 7 * BLOCK], table[i + 8 * BLOCK]),
    )


@compiled
def store(table, row, n, x):
    i = row * BLOCK + n
    table[i], table[i + BLOCK], table[i + 2 * BLOCK] = x[0]
    table[i + 3 * BLOCK], table[i + 4 * BLOCK], table[i + 5 * BLOCK] = x[1]
    table[i + 6 * BLOCK], table[i + 7 * BLOCK], table[i + 8 * BLOCK] = x[2]


#: Rows of a block's table: scaled matrix, rotation, Z, then single numbers.
MATRIX, ROTATION, INVERSE, SCALE, DENOMINATOR, REST, ROWS = 0, 9, 18, 27, 28, 29, 30


@compiled
def first_pass(table):
    for n in range(BLOCK):
        m = load(table, MATRIX, n)
        scale = math.sqrt(3.0 / inner(m, m))
        m = times_matrix(scale, m)
        c = cofactors(m)
        d = dot(m[0], c[0])
        t, rest = trace(inner(c, c), d)
        D = denominator(t, d)
        store(table, MATRIX, n, m)
        store(table, ROTATION, n, from_trace(m, c, t, D))
        store(table, INVERSE, n, times_matrix(scale / D, plus_matrix(c, t, m)))  # (20.8)
        table[SCALE * BLOCK + n] = scale
        table[DENOMINATOR * BLOCK + n] = D
        table[REST * BLOCK + n] = rest


@compiled
def second_pass(table):
    """Where s2 + s3 is small the trace has lost digits; tr(R^T M) has them all (20.7)."""
    for n in range(BLOCK):
        m = load(table, MATRIX, n)
        c = cofactors(m)
        d = dot(m[0], c[0])
        t = inner(load(table, ROTATION, n), m)
        D = denominator(t, d)
        scale = table[SCALE * BLOCK + n]
        store(table, ROTATION, n, from_trace(m, c, t, D))
        store(table, INVERSE, n, times_matrix(scale / D, plus_matrix(c, t, m)))


@compiled
def derivative(table):
    """(20.9), with the gradient in the place of the matrix, and of the result."""
    for n in range(BLOCK):
        g, r, z = load(table, MATRIX, n), load(table, ROTATION, n), load(table, INVERSE, n)
        b = plus(plus(cross(g[0], r[0]), 1.0, cross(g[1], r[1])), 1.0, cross(g[2], r[2]))
        w = dot(z[0], b), dot(z[1], b), dot(z[2], b)
        out = (
            plus(times(w[1], r[2]), -w[2], r[1]),
            plus(times(w[2], r[0]), -w[0], r[2]),
            plus(times(w[0], r[1]), -w[1], r[0]),
        )
        store(table, MATRIX, n, out)


@compiled
def read(table, row, source, start, count):
    for n in range(count):
        for i in range(3):
            for j in range(3):
                table[(row + 3 * i + j) * BLOCK + n] = source[start + n, i, j]


@compiled
def write(table, row, target, start, count):
    for n in range(count):
        for i in range(3):
            for j in range(3):
                target[start + n, i, j] = table[(row + 3 * i + j) * BLOCK + n]


@compiled
def nearest(M, R, Z, refused):
    """Nearest rotations of ``M`` into ``R``, (20.8) into ``Z``, and which not to trust; how many.

    All but ``refused (n,)`` are ``(n, 3, 3)``, all float32 or all float64.
    """
    table = np.ones(ROWS * BLOCK)
    twice = M.itemsize == 8
    total = 0
    for start in range(0, len(M), BLOCK):
        count = min(BLOCK, len(M) - start)
        read(table, MATRIX, M, start, count)
        first_pass(table)
        if twice:
            second_pass(table)
        write(table, ROTATION, R, start, count)
        write(table, INVERSE, Z, start, count)
        for n in range(count):
            least = SMALLEST
            if twice:
                least = max(5 * SMALLEST, SMALLEST_OF_TWO * table[REST * BLOCK + n])
            refused[start + n] = not table[DENOMINATOR * BLOCK + n] > least
            total += refused[start + n]
    return total


@compiled
def differential(G, R, Z, out):
    """(20.9) for each of ``n`` matrices, all ``(n, 3, 3)``."""
    table = np.ones(ROWS * BLOCK)
    for start in range(0, len(G), BLOCK):
        count = min(BLOCK, len(G) - start)
        read(table, MATRIX, G, start, count)
        read(table, ROTATION, R, start, count)
        read(table, INVERSE, Z, start, count)
        derivative(table)
        write(table, MATRIX, out, start, count)
    return 0
