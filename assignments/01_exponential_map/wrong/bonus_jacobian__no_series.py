"""The formula as it stands: 0/0 at zero.

loses: bonus_jacobian-hidden
says: not finite
"""

def right_jacobian(w):
    theta = w.norm(dim=-1)[..., None, None]
    K = hat(w)
    return torch.eye(3) - (1 - theta.cos()) / theta**2 * K + (theta - theta.sin()) / theta**3 * (K @ K)
