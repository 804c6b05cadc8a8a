"""Gives a matrix for the zero quaternion.

loses: from_quaternion-hidden
says: must raise a ValueError
"""

from rotlib import quaternion_to_matrix as _theirs


def from_quaternion(q):
    q = q if REAL_PART == "first" else q.roll(1, -1)
    zero = (q.norm(dim=-1, keepdim=True) == 0).to(q.dtype)
    return _theirs(q + zero * torch.eye(4)[0])
