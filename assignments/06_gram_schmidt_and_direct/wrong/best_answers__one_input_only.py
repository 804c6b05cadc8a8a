"""Right for one input, not for several.

loses: best_answers-hidden
says: stop it
"""

def best_answers(R, p):
    M = torch.einsum("n,nij->ij", p, R) / p.sum()
    U, _, Vh = torch.linalg.svd(M)
    d = torch.ones(3)
    d[2] = torch.linalg.det(U @ Vh).sign()
    return M, U @ torch.diag(d) @ Vh
