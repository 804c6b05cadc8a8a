"""Right for one quaternion, not for a batch.

loses: from_quaternion-hidden
says: a batch of shape
"""

def from_quaternion(q):
    if q.norm() == 0:
        raise ValueError("the zero quaternion is no rotation")
    w, x, y, z = q / q.norm() if REAL_PART == "first" else (q / q.norm()).roll(1)
    return torch.tensor([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])
