"""Right for one vector, not for a batch.

loses: bonus_jacobian-hidden
says: a batch of shape
"""

def right_jacobian(w):
    theta = max(float(w.norm()), 1e-9)
    K = hat(w)
    first = 0.5 - theta**2 / 24 if theta < 1e-2 else (1 - math.cos(theta)) / theta**2
    second = 1 / 6 if theta < 1e-2 else (theta - math.sin(theta)) / theta**3
    return torch.eye(3) - first * K + second * (K @ K).reshape(3, 3)
