"""The factors in the opposite order: turns about fixed axes.

loses: from_euler-hidden
says: fixed axes
"""

def from_euler(degrees):
    R = torch.eye(3)
    for k, letter in enumerate(ORDER):
        axis = torch.eye(3)["XYZ".index(letter)]
        R = rotvec_to_matrix(torch.deg2rad(degrees[..., k, None]) * axis) @ R
    return R
