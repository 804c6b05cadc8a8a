"""Somebody else's order of axes.

loses: from_euler-visible, from_euler-hidden
says: must turn about
"""

def from_euler(degrees):
    R = torch.eye(3)
    for k, letter in enumerate(ORDER[1:] + ORDER[0]):
        axis = torch.eye(3)["XYZ".index(letter)]
        R = R @ rotvec_to_matrix(torch.deg2rad(degrees[..., k, None]) * axis)
    return R
