r"""The nearest rotation from its trace, equations (20.1) to (20.9), one matrix at a time.

The same as :mod:`rotlib._nearest.formula`, compiled by Numba for the processor at hand, and below
the same as :mod:`rotlib._nearest.refused`. A matrix is a tuple of three rows. Sixteen matrices make
a *block*: a table whose row ``k`` holds entry ``k`` of all of them, so that the compiler can let
four or eight share each instruction.
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


def compiled(function: Callable, **options) -> Callable:
    """By Numba, at the first call; kept on disk for the next process, if there is a place."""
    options = OPTIONS | options
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:
        return njit(**options)(function)


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


#: From here to ``apart``: the few matrices whose trace does not give the rotation.
IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@compiled
def product(x, y):
    return row_times(x[0], y), row_times(x[1], y), row_times(x[2], y)


@compiled
def row_times(v, y):
    return plus(plus(times(v[0], y[0]), v[1], y[1]), v[2], y[2])


@compiled
def transposed(x):
    return (
        (x[0][0], x[1][0], x[2][0]),
        (x[0][1], x[1][1], x[2][1]),
        (x[0][2], x[1][2], x[2][2]),
    )


@compiled
def davenport(m, B):
    """``K + 3I`` into the 4x4 array ``B``."""
    (a, b, c), (d, e, f), (g, h, i) = m
    B[0] = 3 + (a + e + i), h - f, c - g, d - b
    B[1] = h - f, 3 + (a - e - i), b + d, c + g
    B[2] = c - g, b + d, 3 + (-a + e - i), f + h
    B[3] = d - b, c + g, f + h, 3 + (-a - e + i)


@compiled
def largest_eigenvector(m, eps):
    """Squared again and again, ``K + 3I`` keeps its largest eigenvalue only."""
    B, square = np.empty((4, 4)), np.empty((4, 4))
    davenport(m, B)
    for n in range(4 - round(math.log2(eps))):
        size = B[0, 0] + B[1, 1] + B[2, 2] + B[3, 3] if n % 4 == 0 else 1.0
        for i in range(4):
            for j in range(4):
                total = 0.0
                for k in range(4):
                    total += B[i, k] * B[j, k]
                square[i, j] = total / (size * size)
        B, square = square, B
    row = 0
    for i in range(4):
        if B[i, i] > B[row, row]:
            row = i
    w, x, y, z = B[row]
    size = math.sqrt(w * w + x * x + y * y + z * z)
    return w / size, x / size, y / size, z / size


@compiled
def unit_quaternion_to_matrix(q):
    w, x, y, z = q
    return (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )


@compiled
def complement(r, m):
    """``tr(H) I - H`` with the symmetric part ``H`` of ``R^T M``: eigenvalues ``s_i + s_j``."""
    (a, b, c), (d, e, f), (g, h, i) = product(transposed(r), m)
    x, y, z = -0.5 * (b + d), -0.5 * (c + g), -0.5 * (f + h)
    return (e + i, x, y), (x, a + i, z), (y, z, a + e)


@compiled
def inverse(A, eps):
    """Of symmetric ``A`` with eigenvalues ``s_i + s_j >= 0``, those above ``16 eps s1``."""
    C = cofactors(A)
    a = A[0][0] + A[1][1] + A[2][2]
    ab = C[0][0] + C[1][1] + C[2][2]
    abc = inner(A, C) / 3
    least = 8 * eps * a
    if ab > least * a:
        if abc > least * ab:
            P = times_matrix(1 / abc, C)
        else:
            P = times_matrix(a / ab, plus_matrix(IDENTITY, -1 / ab, C))
            P = plus_matrix(P, -1 / ab, A)
    else:
        P = times_matrix(1 / (a * a) if a > 0 else 0.0, A)
    return plus_matrix(P, 1.0, product(P, plus_matrix(IDENTITY, -1.0, product(A, P))))


@compiled
def turn(r, w):
    """``R`` turned about ``w`` by Cayley: orthogonal also where the turn is large."""
    scale = 1 / (1 + dot(w, w) / 4)
    once = cross(r[0], w), cross(r[1], w), cross(r[2], w)
    twice = cross(once[0], w), cross(once[1], w), cross(once[2], w)
    return plus_matrix(r, scale, plus_matrix(once, 0.5, twice))


def in_order(function: Callable) -> Callable:
    """Compiled as it is written, in one place: what is seldom used need not be fast."""
    return compiled(function, fastmath={"contract"}, forceinline=False)


@in_order
def apart(M, R, Z, eps):
    """Nearest rotation and ``Z`` of ``M (3, 3)``, whatever its singular values."""
    largest = 0.0
    for i in range(3):
        for j in range(3):
            largest = max(largest, abs(M[i, j]))
    largest = largest if largest > 0 else 1.0
    m = (
        (M[0, 0] / largest, M[0, 1] / largest, M[0, 2] / largest),
        (M[1, 0] / largest, M[1, 1] / largest, M[1, 2] / largest),
        (M[2, 0] / largest, M[2, 1] / largest, M[2, 2] / largest),
    )
    size = math.sqrt(inner(m, m) / 3)
    size = size if size > 0 else 1.0
    m = times_matrix(1 / size, m)
    r = unit_quaternion_to_matrix(largest_eigenvector(m, eps))
    for _ in range(2):  # Newton steps
        h = product(transposed(r), m)
        axis = h[2][1] - h[1][2], h[0][2] - h[2][0], h[1][0] - h[0][1]
        P = inverse(complement(r, m), eps)
        r = turn(r, (dot(P[0], axis), dot(P[1], axis), dot(P[2], axis)))
    z = product(r, inverse(complement(r, m), eps))
    for i in range(3):
        for j in range(3):
            R[i, j] = r[i][j]
            Z[i, j] = z[i][j] / size / largest


@compiled
def nearest(M, R, Z):
    """Nearest rotations of ``M`` into ``R``, (20.8) into ``Z``; all ``(n, 3, 3)`` of one dtype."""
    table = np.ones(ROWS * BLOCK)
    twice = M.itemsize == 8
    eps = 2.0**-52 if twice else 2.0**-23
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
            if not table[DENOMINATOR * BLOCK + n] > least:
                apart(M[start + n], R[start + n], Z[start + n], eps)


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
