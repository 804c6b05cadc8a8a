"""Ignores the weights.

loses: best_answers-hidden
says: are the weights used
"""

def best_answers(R, p):
    M = R.mean(-3)
    U, _, Vh = torch.linalg.svd(M)
    d = torch.ones_like(M[..., 0])
    d[..., 2] = torch.linalg.det(U @ Vh).sign()
    return M, (U * d[..., None, :]) @ Vh
