"""Gains of turns, not of entries.

loses: gains-visible, gains-hidden
says: sqrt(2) |w|
"""

def gains(x):
    return torch.linalg.svdvals(autograd_jacobian(rot6d_to_matrix, x))[..., :3] / math.sqrt(2)
