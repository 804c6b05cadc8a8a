"""Right for three angles, not for a batch.

loses: from_euler-hidden
says: a batch of shape
"""

def from_euler(degrees):
    R = torch.eye(3)
    for angle, letter in zip(degrees.tolist(), ORDER):
        R = R @ rotvec_to_matrix(math.radians(angle) * torch.eye(3)["XYZ".index(letter)])
    return R
