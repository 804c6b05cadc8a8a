"""Gram-Schmidt of the mean in the place of the nearest rotation.

loses: best_answers-hidden
says: another rotation has a smaller weighted error
"""

def best_answers(R, p):
    M = (p[..., None, None] * R).sum(-3) / p.sum(-1)[..., None, None]
    return M, rot6d_to_matrix(torch.cat([M[..., 0], M[..., 1]], -1))
