"""Clamps the cosine.

loses: geodesic_loss-visible, geodesic_loss-hidden
says: with itself is 0
"""

def geodesic_loss(R, T):
    cosine = ((R.mT @ T).diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    return torch.acos(cosine.clamp(-1 + 1e-7, 1 - 1e-7)).mean()
