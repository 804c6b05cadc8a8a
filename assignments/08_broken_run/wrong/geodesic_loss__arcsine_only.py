"""The sine alone: angles beyond a quarter turn come out too small.

loses: geodesic_loss-hidden
says: comes out as
"""

def geodesic_loss(R, T):
    A = R.mT @ T
    squared = (A - A.mT).square().sum((-2, -1)) / 8
    inside = (squared > 0) & (squared < 1)
    sine = torch.where(inside, torch.where(inside, squared, 0.5).sqrt(), squared)
    return torch.where(inside, torch.asin(torch.where(inside, sine, 0.5)), sine * math.pi / 2).mean()
