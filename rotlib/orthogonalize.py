"""Free numbers to a rotation: the nearest one (SVD), the first-come one (Gram-Schmidt), and kin."""

import inspect

import torch
from torch import Tensor
from torch.autograd import Function

from rotlib import closed_form
from rotlib._input import is_plain, require, require_square
from rotlib._numerics import dot, full_precision, length, nan_if_not_finite, normalize
from rotlib.quaternion import quaternion_to_matrix


def _at_least_single(M: Tensor) -> Tensor:
    """In float32, if it was in half precision, for which LAPACK and the kernel have no code."""
    return M.float() if M.dtype.itemsize < 4 else M


@full_precision
def signed_svd(M: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r"""Singular value decomposition with both factors such that ``U @ V.mT`` is a rotation.

    .. math:: M = U \operatorname{diag}(s)\, V^\top, \qquad
        \det(U V^\top) = 1, \qquad s_1 \ge \dots \ge s_{n-1} \ge |s_n|

    The last *signed* singular value carries the sign of ``det M``, and the last column of ``V``
    is flipped to match. Batch items that are not finite come out as NaN, alone.

    Args:
        M: ``(..., n, n)`` matrices.

    Returns:
        ``U (..., n, n)``, ``s (..., n)``, ``V (..., n, n)``.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 6, equation (6.3).
    """
    working = _at_least_single(M)
    # One NaN would make LAPACK reject the whole batch.
    bad = ~working.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)
    identity = torch.eye(M.shape[-1], dtype=working.dtype, device=M.device)
    U, s, Vh = torch.linalg.svd(torch.where(bad, identity, working))
    handedness = torch.sign(torch.linalg.det(U.detach()) * torch.linalg.det(Vh.detach()))
    flip = torch.cat([torch.ones_like(s[..., :-1]), handedness[..., None]], -1)
    U, s = U.masked_fill(bad, torch.nan), (s * flip).masked_fill(bad.squeeze(-1), torch.nan)
    return U.to(M.dtype), s.to(M.dtype), (Vh.mT * flip[..., None, :]).to(M.dtype)


def pair_gains(s: Tensor) -> Tensor:
    r""":math:`1/(s_i + s_j)` for every pair ``i != j``, and 0 where the derivative does not exist.

    That is where :math:`s_i + s_j` is zero to working precision (at most ``16 eps s_1``): there
    the nearest rotation is not unique, and rounding alone decides which one is returned.
    """
    sums = s[..., :, None] + s[..., None, :]
    pairs = ~torch.eye(s.shape[-1], dtype=torch.bool, device=s.device)
    exists = pairs & (sums > 16 * torch.finfo(s.dtype).eps * s[..., None, None, 0])
    return torch.where(exists, 1 / torch.where(exists, sums, 1), 0)


class _SkewSolve(Function):
    r"""Solve :math:`XH + HX = B` for antisymmetric ``X``, given what inverts the equation.

    Its derivative is the same equation with another right side, which makes every higher
    derivative exact.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(H, B, *inverse):
        return solve_skew(B, *inverse)

    @staticmethod
    def setup_context(ctx, inputs, output):
        H, _, *inverse = inputs
        ctx.save_for_backward(H, output, *inverse)
        ctx.save_for_forward(H, output, *inverse)

    @staticmethod
    def backward(ctx, grad):
        H, X, *inverse = ctx.saved_tensors
        Z = _SkewSolve.apply(H, (grad - grad.mT) / 2, *inverse)
        return Z @ X + X @ Z, Z, *(None for _ in inverse)

    @staticmethod
    def jvp(ctx, dH, dB, *_):
        H, X, *inverse = ctx.saved_tensors
        if dH is not None:
            change = X @ dH + dH @ X
            dB = -change if dB is None else dB - change
        return _SkewSolve.apply(H, dB, *inverse)


def solve_skew(B: Tensor, *inverse: Tensor) -> Tensor:
    r""":math:`XH + HX = B` for antisymmetric ``X``, with :math:`H = V \mathrm{diag}(s) V^\top`.

    In the eigenbasis it reads :math:`X_{ij}(s_i + s_j) = B_{ij}`. In three dimensions the axes of
    ``X`` and ``B`` are related by :math:`\operatorname{tr}(H) I - H`, whose inverse ``P`` gives
    :math:`X = \operatorname{tr}(P) B - PB - BP`.

    Args:
        B: ``(..., n, n)`` antisymmetric.
        *inverse: ``V`` and ``s``; or ``P`` alone.
    """
    if len(inverse) == 1:
        (P,) = inverse
        return P.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] * B - P @ B - B @ P
    V, s = inverse
    return V @ ((V.mT @ B @ V) * pair_gains(s)) @ V.mT


def _by_svd(M: Tensor) -> tuple[Tensor, Tensor]:
    """What :func:`closed_form.nearest` returns, by SVD, for the few matrices that it rejects.

    One Newton step removes what the SVD has added to the error that the input implies, and the
    sums of singular values are read off the result.
    """
    scale = M.double().abs().amax((-2, -1), keepdim=True)
    scale = torch.where(scale > 0, scale, 1)
    scaled = M.double() / scale
    U, s, V = signed_svd(scaled)
    R = U @ V.mT
    H = R.mT @ scaled
    gains = pair_gains(s)[..., (1, 0, 0), (2, 2, 1)]
    X = solve_skew(H - H.mT, (V * gains[..., None, :]) @ V.mT)
    # Cayley's rotation of the step: orthogonal also where the step is large.
    size = 1 + X.square().sum((-2, -1), keepdim=True) / 8
    R = R + R @ (X + X @ X / 2) / size
    H = R.mT @ scaled
    parts = (V * (H @ V)).sum(-2)  # s1, s2, s3, but for rounding
    sums = parts.sum(-1, keepdim=True) - parts
    inverse = (V * torch.where(gains > 0, 1 / sums, 0)[..., None, :]) @ V.mT
    return R.to(M.dtype), (-(R @ inverse) / scale).to(M.dtype)


def _nearest_3x3(M: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest rotations ``R`` of ``(..., 3, 3)``, and ``-Z``: ``R^T Z`` inverts ``tr(H) I - H``."""
    flat = _at_least_single(M if M.dim() == 3 else M.reshape(-1, 3, 3))
    R, minus_Z, accepted = closed_form.nearest(flat)
    if not accepted.all():
        rejected = ~accepted
        R[rejected], minus_Z[rejected] = _by_svd(flat[rejected])
    if M.dim() == 3 and R.dtype == M.dtype:
        return R, minus_Z
    return R.reshape(M.shape).to(M.dtype), minus_Z.reshape(M.shape).to(M.dtype)


def _differential_3x3(change: Tensor, M: Tensor, R: Tensor, minus_Z: Tensor) -> Tensor:
    """:func:`_polar_differential` without a record for further derivatives."""
    if M.dim() == 3 and M.dtype.itemsize >= 4:
        return closed_form.differential(change, R, minus_Z)
    flat = (_at_least_single(x).reshape(-1, 3, 3) for x in (change, R, minus_Z))
    return closed_form.differential(*flat).reshape(M.shape).to(M.dtype)


@full_precision
def _polar_differential(change: Tensor, M: Tensor, R: Tensor, *inverse: Tensor) -> Tensor:
    """``dR`` for ``change = dM``, and the gradient at ``M`` for ``change`` = gradient at ``R``."""
    H, turned = R.mT @ M, R.mT @ change
    if len(inverse) == 1:
        inverse = (-R.mT @ inverse[0],)
    return R @ _SkewSolve.apply((H + H.mT) / 2, turned - turned.mT, *inverse)


class _NearestRotation(Function):
    r"""The polar factor ``R`` of ``M`` with its exact differential (8.7).

    With :math:`H = R^\top M` symmetric: :math:`dR = R X`, :math:`XH + HX = R^\top dM - dM^\top R`.
    The map is its own adjoint, so backward and jvp are the same formula.
    """

    @staticmethod
    def forward(M):
        if M.shape[-1] == 3 and M.device.type in ("cpu", "cuda") and is_plain(M):
            return _nearest_3x3(M)
        U, s, V = signed_svd(M)
        return U @ V.mT, V, s

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*inputs, *output)
        ctx.save_for_forward(*inputs, *output)

    @staticmethod
    def _differential(ctx, change):
        M, R, *inverse = ctx.saved_tensors
        recorded = torch.is_grad_enabled() or not all(map(is_plain, (change, M, R)))
        fast = len(inverse) == 1 and not recorded
        return (_differential_3x3 if fast else _polar_differential)(change, M, R, *inverse)

    @staticmethod
    def backward(ctx, grad, *_):
        return _NearestRotation._differential(ctx, grad)

    @staticmethod
    def jvp(ctx, dM):
        dR = _NearestRotation._differential(ctx, dM)
        return dR, *(None for _ in ctx.saved_tensors[2:])

    @staticmethod
    def vmap(info, in_dims, M):
        out = _NearestRotation.apply(M.movedim(in_dims[0], 0))
        return out, tuple(0 for _ in out)


# PyTorch reads the signature at every call, a twentieth of the time that one matrix takes.
_NearestRotation.forward.__signature__ = inspect.signature(_NearestRotation.forward)


@full_precision
def svd_orthogonalize(M: Tensor) -> Tensor:
    r"""Nearest special-orthogonal matrix in the Frobenius norm.

    .. math:: R = U \operatorname{diag}(1, \dots, 1, \det(UV^\top))\, V^\top
        = \arg\min_{Q \in SO(n)} \lVert Q - M \rVert_F, \qquad M = U \operatorname{diag}(|s|) V^\top

    The derivative is the closed form
    :math:`dR = U K V^\top`, :math:`K_{ij} = (P_{ij} - P_{ji})/(s_i + s_j)`,
    :math:`P = U^\top dM\, V`, with *signed* singular values. It holds no
    :math:`1/(s_i - s_j)`, so it is exact at rotations and at repeated singular values, for both
    signs of the determinant, and can be differentiated again.

    Args:
        M: ``(..., n, n)`` matrices, ``n >= 2``.

    Returns:
        ``(..., n, n)`` matrices with orthonormal columns and determinant +1. Items that are not
        finite give NaN, alone.

    Singular points:
        Where :math:`s_i + s_j = 0` for a pair (rank below ``n - 1``, or a negative determinant
        with the two smallest singular values equal) the nearest rotation is not unique. One of
        them is returned; the derivative drops that pair, that is, it is the pseudo-inverse
        solution: finite, and zero in the plane that has no answer. "Zero" means at most
        ``16 eps s_1``; the zero matrix has derivative zero.

    Raises:
        TypeError: if ``M`` is not a floating-point tensor.
        ValueError: unless its last two dimensions are equal and at least 2.

    Note:
        For ``n = 3`` no SVD is computed, but for the few matrices near a singular point (chapter
        20); the result is as accurate. Equal matrices at different places of a batch may differ by
        rounding. ``torch.compile`` runs this function as it is, between its graphs.

        Forward mode over forward mode (``jacfwd`` of ``jacfwd``) is not supported by PyTorch's
        custom functions and gives zeros. Use ``torch.func.hessian``, which is forward over
        reverse, or reverse over either.

    Source: {cite}`schonemann1966generalized`, {cite}`levinson2020analysis`; optimality proved in
    chapter 6, derivative in chapter 8, equation (8.7), both without an SVD in chapter 20.
    """
    require_square("svd_orthogonalize", M)
    if torch.compiler.is_compiling():
        # The kernel writes into memory that it keeps, which a compiler cannot follow.
        return torch.compiler.disable(_NearestRotation.apply)(M)[0]
    return _NearestRotation.apply(M)[0]


def gram_schmidt(A: Tensor) -> Tensor:
    r"""Rotation whose first column is along ``a1`` and whose second lies in the plane of both.

    .. math:: r_1 = \frac{a_1}{\lVert a_1 \rVert}, \quad
        r_2 = \frac{a_2 - (r_1 \cdot a_2)\,r_1}{\lVert a_2 - (r_1 \cdot a_2)\,r_1 \rVert}, \quad
        r_3 = r_1 \times r_2

    Args:
        A: ``(..., 3, 2)`` matrices with columns ``a1`` and ``a2``.

    Returns:
        ``(..., 3, 3)`` rotation matrices.

    Singular points:
        Where ``a1 = 0`` or the columns are parallel there is no answer: NaN, in that item alone,
        or, where rounding leaves parallel columns a residue, a rotation with an arbitrary second
        column. Near such points the derivative grows like one over the distance to them.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`zhou2019continuity`; chapter 6, equation (6.1).
    """
    require("gram_schmidt", A, 3, 2)
    a1, a2 = A.unbind(-1)
    r1 = normalize(a1)
    r2 = normalize(a2 - dot(r1, a2) * r1)
    # The same projection once more: exact mathematics leaves r2 as it is, rounding does not.
    r2 = normalize(r2 - dot(r1, r2) * r1)
    return torch.stack([r1, r2, torch.linalg.cross(r1, r2)], -1)


def rot6d_to_matrix(x: Tensor) -> Tensor:
    """Gram-Schmidt of six numbers: the first two **columns** of the matrix, one after the other.

    PyTorch3D's 6D holds the first two *rows*; transpose its result, or its input, to convert
    (conventions page).

    Args:
        x: ``(..., 6)`` numbers ``(a1, a2)``.

    Returns:
        ``(..., 3, 3)`` rotation matrices.

    Singular points:
        As :func:`gram_schmidt`.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`zhou2019continuity`; chapter 6.
    """
    require("rot6d_to_matrix", x, 6)
    return gram_schmidt(x.unflatten(-1, (2, 3)).mT)


def matrix_to_rot6d(R: Tensor) -> Tensor:
    """First two columns of a matrix, stacked; the inverse of :func:`rot6d_to_matrix`.

    Args:
        R: ``(..., 3, 3)`` matrices.

    Returns:
        ``(..., 6)`` numbers.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`zhou2019continuity`; chapter 6.
    """
    require("matrix_to_rot6d", R, 3, 3)
    return R[..., :2].mT.flatten(-2) + nan_if_not_finite(R)[..., None]


def rot9d_to_matrix(x: Tensor) -> Tensor:
    """Nearest rotation of nine numbers read row by row.

    Args:
        x: ``(..., 9)`` numbers, row-major.

    Returns:
        ``(..., 3, 3)`` rotation matrices.

    Singular points:
        As :func:`svd_orthogonalize`, whose note on second derivatives holds here too.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`levinson2020analysis`; chapter 6.
    """
    require("rot9d_to_matrix", x, 9)
    return svd_orthogonalize(x.unflatten(-1, (3, 3)))


def matrix_to_rot9d(R: Tensor) -> Tensor:
    """The nine entries of a matrix, row by row.

    Args:
        R: ``(..., 3, 3)`` matrices.

    Returns:
        ``(..., 9)`` numbers, row-major.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 6.
    """
    require("matrix_to_rot9d", R, 3, 3)
    return R.flatten(-2).clone()


def rot5d_to_matrix(x: Tensor) -> Tensor:
    r"""Rotation of five numbers: 6D with one number less, through a stereographic projection.

    The last three numbers ``p`` stand for a point of the sphere in four dimensions,
    :math:`(p \cdot p - 1,\; 2p) / (p \cdot p + 1)`. Scaled so that its last three entries have
    length one, it is :math:`(a_{31}, a_2)`; the first two numbers are :math:`(a_{11}, a_{21})`.
    Gram-Schmidt does the rest.

    Args:
        x: ``(..., 5)`` numbers.

    Returns:
        ``(..., 3, 3)`` rotation matrices.

    Singular points:
        ``p = 0`` (NaN), and those of :func:`gram_schmidt`.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`zhou2019continuity`, {cite}`stuelpnagel1964parametrization`. Zhou's code scales
    ``p`` by constants, which this function leaves out.
    """
    require("rot5d_to_matrix", x, 5)
    top, p = x.split([2, 3], -1)
    # Scaled by 2 small / (1 + small^2), the first column stays bounded for every |p|.
    size = length(p)
    inside = size < 1
    small = torch.where(inside, size, 1 / torch.where(inside, 1, size))
    height = (1 - small**2) / (1 + small**2)
    a1 = torch.cat([top * 2 * small / (1 + small**2), torch.where(inside, -height, height)], -1)
    return gram_schmidt(torch.stack([a1, normalize(p)], -1))


def matrix_to_rot5d(R: Tensor) -> Tensor:
    r"""Five numbers of a rotation; the inverse of :func:`rot5d_to_matrix`, smooth on all of SO(3).

    .. math:: w = \frac{(r_{31}, r_2)}{\sqrt{1 + r_{31}^2}} \in S^3, \qquad
        x = \Big(r_{11},\; r_{21},\; \frac{(w_2, w_3, w_4)}{1 - w_1}\Big)

    Args:
        R: ``(..., 3, 3)`` rotation matrices.

    Returns:
        ``(..., 5)`` numbers.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`zhou2019continuity`, {cite}`stuelpnagel1964parametrization`.
    """
    require("matrix_to_rot5d", R, 3, 3)
    r31 = R[..., 2, :1]
    p = R[..., 1] / (torch.sqrt(1 + r31 * r31) - r31)
    return torch.cat([R[..., :2, 0], p], -1) + nan_if_not_finite(R)[..., None]


class _SmallestEigenvector(Function):
    r"""Unit eigenvector of the smallest eigenvalue of a symmetric matrix, with its differential.

    :math:`dq = -(A - \lambda I)^+ (dA)\,q`: only gaps to the smallest eigenvalue appear, whereas
    autograd through ``eigh`` divides by the gaps among the others too, and gives NaN if two agree.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(A):
        bad = ~A.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)
        identity = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device)
        q = torch.linalg.eigh(torch.where(bad, identity, A)).eigenvectors[..., :1]
        return q.masked_fill(bad, torch.nan)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs, output)
        ctx.save_for_forward(*inputs, output)

    @staticmethod
    def _solve(ctx, b):
        A, q = ctx.saved_tensors
        identity = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device)
        # Adding q q^T at the scale of A makes the matrix regular and leaves the complement alone.
        scale = torch.linalg.matrix_norm(A)[..., None, None] * q @ q.mT
        shifted = A - (q.mT @ A @ q) * identity + scale
        return torch.linalg.solve_ex(shifted, b - q @ (q.mT @ b)).result, q

    @staticmethod
    def backward(ctx, grad):
        z, q = _SmallestEigenvector._solve(ctx, grad)
        return -(z @ q.mT + q @ z.mT) / 2

    @staticmethod
    def jvp(ctx, dA):
        return -_SmallestEigenvector._solve(ctx, dA @ ctx.saved_tensors[1])[0]


@full_precision
def rot10d_to_matrix(x: Tensor) -> Tensor:
    r"""Rotation of ten numbers: the symmetric 4x4 matrix's eigenvector of smallest eigenvalue.

    .. math:: q = \arg\min_{\lVert q \rVert = 1} q^\top A\,q

    Args:
        x: ``(..., 10)`` numbers: the upper triangle of ``A``, row by row.

    Returns:
        ``(..., 3, 3)`` rotation matrices of the quaternion ``q_wxyz``.

    Singular points:
        Where the two smallest eigenvalues agree the eigenvector is not unique; the value is one
        of them, the derivative is infinite or NaN, in that item alone.

    Note:
        As for :func:`svd_orthogonalize`, forward mode over forward mode is not supported.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: {cite}`peretroukhin2020smooth`.
    """
    require("rot10d_to_matrix", x, 10)
    place = torch.tensor([[0, 1, 2, 3], [1, 4, 5, 6], [2, 5, 7, 8], [3, 6, 8, 9]], device=x.device)
    working = _at_least_single(x)
    # A positive factor changes nothing; a constant one keeps the squares from overflowing.
    scale = working.detach().abs().amax(-1, keepdim=True)
    A = (working / torch.where(scale > 0, scale, 1))[..., place.flatten()].unflatten(-1, (4, 4))
    return quaternion_to_matrix(_SmallestEigenvector.apply(A).squeeze(-1)).to(x.dtype)
