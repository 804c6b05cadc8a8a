"""The formula that stopped the run.

loses: geodesic_loss-visible, geodesic_loss-hidden
says: your gradient is not finite
"""

def geodesic_loss(R, T):
    return torch.acos((((R.mT @ T).diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1)).mean()
