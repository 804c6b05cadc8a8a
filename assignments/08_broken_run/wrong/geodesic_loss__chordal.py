"""The chordal distance.

loses: geodesic_loss-visible, geodesic_loss-hidden
says: a quarter turn is pi/2
"""

def geodesic_loss(R, T):
    squared = (R - T).square().sum((-2, -1))
    return torch.where(squared > 0, torch.where(squared > 0, squared, 1.0).sqrt(), 0.0).mean()
