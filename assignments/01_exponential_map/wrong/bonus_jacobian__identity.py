"""Right only at zero.

loses: bonus_jacobian-visible, bonus_jacobian-hidden
says: your Jacobian says
"""

def right_jacobian(w):
    return torch.eye(3).expand(*w.shape[:-1], 3, 3)
