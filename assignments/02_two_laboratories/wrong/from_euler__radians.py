"""Takes the angles for radians.

loses: from_euler-visible, from_euler-hidden
says: in degrees
"""

def from_euler(degrees):
    R = torch.eye(3)
    for k, letter in enumerate(ORDER):
        axis = torch.eye(3)["XYZ".index(letter)]
        R = R @ rotvec_to_matrix(degrees[..., k, None] * axis)
    return R
