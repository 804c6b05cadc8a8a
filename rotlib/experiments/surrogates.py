"""Heads whose training gradient is not the derivative of a map to rotations."""

import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor
from torch.autograd import Function

from rotlib._input import require
from rotlib._numerics import full_precision, length
from rotlib.matrix import vee
from rotlib.orthogonalize import svd_orthogonalize
from rotlib.rotvec import rotvec_to_matrix
from rotlib.svd import pair_gains, signed_svd

_NODES = 64


def _rule() -> tuple[Tensor, Tensor]:
    """Nodes and weights for integrals over [-1, 1] of functions that may peak at either end.

    Gauss-Legendre in ``t`` on [0, 1], with ``u = cos(pi t)``, which is dense at both ends.
    """
    nodes, weights = (torch.from_numpy(x) for x in leggauss(_NODES))
    t = torch.pi * (nodes + 1) / 2
    return t.cos(), weights * t.sin()


_U, _WEIGHT = _rule()


@full_precision
def fisher_singular_values(s: Tensor) -> Tensor:
    r"""Singular values of the mean rotation of a matrix Fisher distribution.

    .. math:: d_i = \frac{\partial \log c}{\partial s_i} = \frac{\int u\,w_i\,du}{\int w_i\,du},
        \qquad w_i(u) = I_0\!\big(\tfrac{s_j - s_k}{2}(1-u)\big)\,
        I_0\!\big(\tfrac{s_j + s_k}{2}(1+u)\big)\,e^{s_i u}

    over :math:`u \in [-1, 1]`, with ``(i, j, k)`` any order of the three. The integrand peaks at
    :math:`u = 1`, more sharply the surer the distribution is, and at :math:`u = -1` as well where
    :math:`s_2 + s_3` is small.

    Args:
        s: ``(..., 3)`` signed singular values of the parameter ``F``, descending.

    Returns:
        ``(..., 3)`` values :math:`d_i` in [-1, 1], accurate to 1e-6 in float64 (2e-5 in
        float32) for :math:`s_1` up to 1e4.

    Singular points:
        None; at ``s = 0`` the distribution is uniform and the mean is zero.

    Source: the one-dimensional form of the normalising constant is that of
    {cite}`lee2017bayesian`; its use as a loss is {cite}`mohlin2020probabilistic`. Chapter 12,
    equation (12.5).
    """
    require("fisher_singular_values", s, 3)
    u, weight = _U.to(s), _WEIGHT.to(s)
    i = s[..., None]
    j, k = s.roll(-1, -1)[..., None], s.roll(1, -1)[..., None]
    a, b = (j - k).abs() / 2 * (1 - u), (j + k).abs() / 2 * (1 + u)
    exponent = a + b + i * u
    w = torch.special.i0e(a) * torch.special.i0e(b) * weight
    w = w * (exponent - exponent.amax(-1, keepdim=True)).exp()
    return (w * u).sum(-1) / w.sum(-1)


@full_precision
def fisher_mean(F: Tensor) -> Tensor:
    r"""Mean rotation :math:`\mathbb{E}_F[R]` of the density :math:`e^{\mathrm{tr}(F^\top R)}/c(F)`.

    Args:
        F: ``(..., 3, 3)`` parameters.

    Returns:
        ``(..., 3, 3)`` means :math:`U \operatorname{diag}(d) V^\top`; no rotations.

    Singular points:
        None.

    Source: {cite}`mohlin2020probabilistic`; chapter 12, equation (12.5).
    """
    require("fisher_mean", F, 3, 3)
    U, s, V = signed_svd(F)
    return (U * fisher_singular_values(s)[..., None, :]) @ V.mT


class _Once(Function):
    """The identity, for a gradient that is no derivative of the value: it has none of its own.

    PyTorch's ``once_differentiable`` says so too, but under ``torch.func`` it gives zeros.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(gradient):
        return gradient.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, grad):
        raise RuntimeError("a head with a gradient of its own can be differentiated only once")


class _FisherResidual(Function):
    """Forward the mean, backward the identity: see :func:`fisher_train`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(F):
        return fisher_mean(F)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, grad):
        return _Once.apply(grad)


def fisher_train(F: Tensor) -> Tensor:
    r"""The mean rotation, with a backward that makes the chordal loss a likelihood.

    The gradient of :math:`-\log p(T)` is :math:`\mathbb{E}_F[R] - T`. The chordal loss
    :math:`\tfrac12\lVert Y - T\rVert^2` sends :math:`Y - T`. So with the mean as ``Y`` and the
    identity as the backward, descending the chordal loss descends the negative log-likelihood.

    Args:
        F: ``(..., 3, 3)`` parameters.

    Returns:
        ``(..., 3, 3)`` mean rotations.

    Source: {cite}`mohlin2020probabilistic`; chapter 12, equation (12.5).
    """
    require("fisher_train", F, 3, 3)
    return _FisherResidual.apply(F)


class _Rpmg(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(M, step, regularizer):
        return svd_orthogonalize(M)

    @staticmethod
    def setup_context(ctx, inputs, output):
        M, ctx.step, ctx.regularizer = inputs
        ctx.save_for_backward(M, output)

    @staticmethod
    def backward(ctx, G):
        M, R = ctx.saved_tensors
        goal = R @ rotvec_to_matrix(-2 * ctx.step * vee(R.mT @ G))
        lengths = M @ goal.mT
        nearest = (lengths + lengths.mT) / 2 @ goal
        return _Once.apply(M - nearest + ctx.regularizer * (nearest - goal)), None, None


def rpmg_train(M: Tensor, step: float = 0.5, regularizer: float = 0.01) -> Tensor:
    r"""Nearest rotation whose backward is the regularized projective manifold gradient.

    .. math:: g &= M - M_g + \lambda\,(M_g - R_g), \\
        R_g &= R\,\exp(-\tau\,\widehat{2\operatorname{vee}(R^\top G)}), \qquad
        M_g = \operatorname{sym}(M R_g^\top)\,R_g

    The goal ``R_g`` is a gradient step on the rotations, and ``M_g`` the matrix nearest to ``M``
    among those with symmetric :math:`M R_g^\top`.

    Args:
        M: ``(..., 3, 3)`` matrices.
        step: the factor :math:`\tau`. With the loss :math:`\tfrac12\lVert R - T\rVert^2`, 1/2 aims
            at the target itself when it is near; in the paper's scaling, without the half, that
            is its final 1/4. The paper grows it from a fifth of that; here it is constant.
        regularizer: the factor :math:`\lambda`; the paper's value is 0.01.

    Returns:
        ``(..., 3, 3)`` rotations, those of :func:`~rotlib.orthogonalize.svd_orthogonalize`.

    Singular points:
        As ``svd_orthogonalize`` forward; the backward is finite everywhere.

    Source: {cite}`chen2022projective` and its published code.
    """
    require("rpmg_train", M, 3, 3)
    return _Rpmg.apply(M, step, regularizer)


class _Recombined(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(M, direction, length_of):
        return svd_orthogonalize(M), *signed_svd(M)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.direction, ctx.length_of = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*output[1:])

    @staticmethod
    def backward(ctx, G, *_):
        U, s, V = ctx.saved_tensors
        P = U.mT @ G @ V
        unit, svd = (P - P.mT) / 2, (P - P.mT) * pair_gains(s)
        norm = length(s)[..., None]
        size = torch.where(norm > 0, norm / 3**0.5, 1)
        gradients = {
            "svd": svd,
            "unit gains": unit,
            "unit gains with size": unit / size,
            "svd without size": svd * size,
        }
        sent, wanted = gradients[ctx.direction], gradients[ctx.length_of]
        has, gets = (length(x.flatten(-2))[..., None] for x in (sent, wanted))
        share = gets / torch.where(has > 0, has, 1)
        return _Once.apply(U @ (share * sent) @ V.mT), None, None


def recombined_train(M: Tensor, direction: str, length: str) -> Tensor:
    r"""Nearest rotation whose backward has the direction of one gradient, the length of another.

    .. math:: g = \frac{d}{\lVert d \rVert}\,\lVert l \rVert, \qquad d, l \in \Big\{
        &J\,G\ (\text{svd}),\ \frac{\lVert M \rVert}{\sqrt3}\,J\,G\ (\text{svd without size}), \\
        &\Pi\,G\ (\text{unit gains}),\
        \frac{\sqrt3}{\lVert M \rVert}\,\Pi\,G\ (\text{unit gains with size})\Big\}

    ``Pi`` is the projector on turns of ``R``: the Jacobian ``J`` with all gains set to 1. With
    ``"svd"`` twice this is ``svd_orthogonalize``. The length of SVD's gradient has two causes:
    the size of ``M``, and what is left of the gains, the pole. The last two lengths take them one
    by one; as directions they are those of ``"unit gains"`` and ``"svd"``.

    Args:
        M: ``(..., 3, 3)`` matrices.
        direction: ``"svd"`` or ``"unit gains"``.
        length: one of all four.

    Returns:
        ``(..., 3, 3)`` rotations, those of :func:`~rotlib.orthogonalize.svd_orthogonalize`.

    Singular points:
        As ``svd_orthogonalize``.

    Source: chapter 14; the split is equation (9.2).
    """
    require("recombined_train", M, 3, 3)
    directions = ("svd", "unit gains")
    lengths = (*directions, "unit gains with size", "svd without size")
    for name, value, known in (("direction", direction, directions), ("length", length, lengths)):
        if value not in known:
            raise ValueError(
                f"recombined_train expects a {name} of {', '.join(known)}, got {value!r}"
            )
    return _Recombined.apply(M, direction, length)[0]
