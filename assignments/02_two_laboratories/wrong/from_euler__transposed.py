"""The transpose: a passive rotation.

loses: from_euler-visible, from_euler-hidden
says: the other way
"""

def from_euler(degrees):
    R = torch.eye(3)
    for k, letter in enumerate(ORDER):
        axis = torch.eye(3)["XYZ".index(letter)]
        R = R @ rotvec_to_matrix(torch.deg2rad(degrees[..., k, None]) * axis)
    return R.mT
