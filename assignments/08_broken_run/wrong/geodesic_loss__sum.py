"""The sum in the place of the mean.

loses: geodesic_loss-visible, geodesic_loss-hidden
says: the mean of pi/2 and 0.2
"""

def geodesic_loss(R, T):
    A = R.mT @ T
    squared = (A - A.mT).square().sum((-2, -1)) / 8
    sine = torch.where(squared > 0, torch.where(squared > 0, squared, 1.0).sqrt(), 0.0)
    return torch.atan2(sine, (A.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).sum()
