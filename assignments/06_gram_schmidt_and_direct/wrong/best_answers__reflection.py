"""Drops the determinant.

loses: best_answers-hidden
says: must still be a rotation
"""

def best_answers(R, p):
    M = (p[..., None, None] * R).sum(-3) / p.sum(-1)[..., None, None]
    U, _, Vh = torch.linalg.svd(M)
    return M, U @ Vh
