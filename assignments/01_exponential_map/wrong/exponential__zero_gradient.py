"""The right value at zero by a special case without a derivative.

loses: exponential-hidden
says: its derivative is wrong
"""

def exponential(w):
    if float((w * w).sum(-1).max()) < 1e-20:
        return torch.eye(3).expand(*w.shape[:-1], 3, 3) + 0 * w[..., None]
    theta = (w * w).sum(-1)[..., None, None].clamp_min(1e-12).sqrt()
    K = hat(w)
    second = 2 * (theta / 2).sin() ** 2 / theta**2
    return torch.eye(3) + theta.sin() / theta * K + second * (K @ K)
