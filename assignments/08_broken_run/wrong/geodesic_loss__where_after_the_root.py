"""Puts the safe number in after the root: the gradient is 0 times infinity.

loses: geodesic_loss-visible, geodesic_loss-hidden
says: your gradient is not finite
"""

def geodesic_loss(R, T):
    A = R.mT @ T
    squared = (A - A.mT).square().sum((-2, -1)) / 8
    sine = torch.where(squared > 0, squared.sqrt(), 0.0)
    return torch.atan2(sine, (A.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).mean()
