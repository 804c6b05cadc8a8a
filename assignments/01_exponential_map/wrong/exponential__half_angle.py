"""Half the angle, as in a quaternion.

loses: exponential-visible, exponential-hidden
says: degrees instead of
"""

def exponential(w):
    theta = w.norm(dim=-1)[..., None, None].clamp_min(1e-12)
    K = hat(w) / theta
    return torch.eye(3) + (theta / 2).sin() * K + (1 - (theta / 2).cos()) * (K @ K)
