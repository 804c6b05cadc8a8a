"""Transposed: hat has the other sign.

loses: exponential-visible, exponential-hidden
says: turns the other way
"""

def exponential(w):
    theta = w.norm(dim=-1)[..., None, None].clamp_min(1e-12)
    K = hat(w)
    return torch.eye(3) - theta.sin() / theta * K + (1 - theta.cos()) / theta**2 * (K @ K)
