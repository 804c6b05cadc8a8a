"""The sign of the mean's determinant, which may be zero.

loses: best_answers-hidden
says: determinant zero
"""

def best_answers(R, p):
    M = (p[..., None, None] * R).sum(-3) / p.sum(-1)[..., None, None]
    U, _, Vh = torch.linalg.svd(M)
    d = torch.ones_like(M[..., 0])
    d[..., 2] = torch.linalg.det(M).sign()
    return M, (U * d[..., None, :]) @ Vh
