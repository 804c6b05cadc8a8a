"""Right only near the identity.

loses: exponential-visible, exponential-hidden
says: not a rotation
"""

def exponential(w):
    return torch.eye(3) + hat(w)
