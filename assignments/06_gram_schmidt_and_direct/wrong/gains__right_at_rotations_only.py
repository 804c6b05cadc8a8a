"""The gains of orthonormal columns, for all.

loses: gains-visible, gains-hidden
says: for a first column of length 4
"""

def gains(x):
    return torch.full((*x.shape[:-1], 3), math.sqrt(2))
