"""Right value, no gradient.

loses: geodesic_loss-visible, geodesic_loss-hidden
says: no gradient comes back
"""

def geodesic_loss(R, T):
    A = R.detach().mT @ T
    squared = (A - A.mT).square().sum((-2, -1)) / 8
    return torch.atan2(squared.sqrt(), (A.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).mean()
