"""The right value everywhere, and NaN as its derivative at zero.

loses: exponential-hidden
says: derivative is not finite
"""

def exponential(w):
    theta = w.norm(dim=-1)[..., None, None]
    K = hat(w)
    first = torch.where(theta < 1e-3, 1 - theta**2 / 6, theta.sin() / theta)
    second = torch.where(theta < 1e-3, 0.5 - theta**2 / 24, (1 - theta.cos()) / theta**2)
    return torch.eye(3) + first * K + second * (K @ K)
