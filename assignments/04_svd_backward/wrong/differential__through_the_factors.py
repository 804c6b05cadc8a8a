"""Goes through the derivatives of U and V, which do not exist at a rotation.

loses: differential-hidden
says: no difference s_i - s_j
"""

def differential(M, dM):
    U, s, V = signed_svd(M)
    P = U.mT @ dM @ V
    squares = s**2
    F = squares[..., None, :] - squares[..., :, None]
    F = torch.where(torch.eye(3, dtype=torch.bool), 0.0, 1 / F)
    S = torch.diag_embed(s)
    dU = F * (P @ S + S @ P.mT)
    dV = F * (S @ P + P.mT @ S)
    return U @ (dU - dV) @ V.mT
