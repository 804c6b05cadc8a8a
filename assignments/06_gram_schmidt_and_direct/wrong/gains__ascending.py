"""In ascending order.

loses: gains-visible, gains-hidden
says: in descending order
"""

def gains(x):
    return torch.linalg.svdvals(autograd_jacobian(rot6d_to_matrix, x))[..., :3].flip(-1)
