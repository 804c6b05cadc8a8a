"""Takes the weights for shares.

loses: best_answers-visible, best_answers-hidden
says: twice too long
"""

def best_answers(R, p):
    M = (p[..., None, None] * R).sum(-3)
    U, _, Vh = torch.linalg.svd(M)
    d = torch.ones_like(M[..., 0])
    d[..., 2] = torch.linalg.det(U @ Vh).sign()
    return M, (U * d[..., None, :]) @ Vh
