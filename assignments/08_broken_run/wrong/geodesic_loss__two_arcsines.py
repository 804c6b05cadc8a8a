"""The arcsine on both sides of a quarter turn, where its slope is infinite.

loses: geodesic_loss-hidden
says: not finite
"""

def geodesic_loss(R, T):
    A = R.mT @ T
    squared = (A - A.mT).square().sum((-2, -1)) / 8
    apart = squared > 0
    s = torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0).clamp(max=1)
    c = (A.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    return torch.where(c >= 0, s.asin(), math.pi - s.asin()).mean()
