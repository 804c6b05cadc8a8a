"""The derivative of the angle is cut off.

loses: exponential-hidden
says: something detached
"""

def exponential(w):
    theta = w.detach().norm(dim=-1)[..., None, None].clamp(min=1e-6)
    K = hat(w)
    return torch.eye(3) + theta.sin() / theta * K + 2 * ((theta / 2).sin() / theta) ** 2 * (K @ K)
