"""Right for one matrix, not for a batch.

loses: bonus_even-hidden
says: a batch of shape
"""

def even_gradient(M, G):
    R = svd_orthogonalize(M)
    A = torch.mm(R.T, G)
    return torch.mm(R, A - A.T) / 2
