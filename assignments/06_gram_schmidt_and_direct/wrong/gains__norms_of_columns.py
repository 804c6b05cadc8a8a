"""Norms of the Jacobian's columns, which are not its singular values.

loses: gains-hidden
says: gamma mixes
"""

def gains(x):
    J = autograd_jacobian(rot6d_to_matrix, x)
    return J.norm(dim=-2).sort(-1, descending=True).values[..., :3]
