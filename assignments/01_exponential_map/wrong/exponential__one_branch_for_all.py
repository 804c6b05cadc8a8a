"""One branch for the whole batch.

loses: exponential-hidden
says: its own branch
"""

def exponential(w):
    square = (w * w).sum(-1)[..., None, None]
    K = hat(w)
    if square.max() < 1e-4:
        return torch.eye(3) + (1 - square / 6 + square**2 / 120) * K + (0.5 - square / 24 + square**2 / 720) * (K @ K)
    theta = square.sqrt()
    return torch.eye(3) + theta.sin() / theta * K + (1 - theta.cos()) / square * (K @ K)
