"""The angle between the two rotations, which are the same.

loses: direction-visible, direction-hidden
says: the angle is
"""

def direction_error(M, G, terms):
    a, b = svd_orthogonalize(M).flatten(-2), svd_orthogonalize_taylor(M, terms).flatten(-2)
    return torch.rad2deg(2 * torch.atan2((a - b).norm(dim=-1), (a + b).norm(dim=-1)))
