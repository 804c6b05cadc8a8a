"""The columns in the wrong order.

loses: energies-visible, energies-hidden
says: the first column comes first
"""

def column_energies(x):
    J = autograd_jacobian(rot6d_to_matrix, x)
    return J.square().sum(-2).unflatten(-1, (2, 3)).sum(-1).flip(-1)
