"""Right for one vector, not for a batch.

loses: exponential-hidden
says: a batch of shape
"""

def exponential(w):
    square = (w * w).sum()
    small = square < 1e-4
    safe = torch.where(small, torch.ones_like(square), square)
    theta = safe.sqrt()
    first = torch.where(small, 1 - square / 6 + square**2 / 120, theta.sin() / theta)
    second = torch.where(small, 0.5 - square / 24 + square**2 / 720, (1 - theta.cos()) / safe)
    K = torch.zeros(3, 3)
    K[0, 1], K[0, 2], K[1, 0] = -w[2], w[1], w[2]
    K[1, 2], K[2, 0], K[2, 1] = -w[0], -w[1], w[0]
    return torch.eye(3) + first * K + second * (K @ K)
