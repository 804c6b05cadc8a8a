"""Never thinks of passive rotations.

loses: find_convention-visible, find_convention-hidden
says: taken for an active one
"""

from rotlib import quaternion_to_matrix


def find_convention(q, x, y):
    first = ((quaternion_to_matrix(q) @ x[..., None])[..., 0] - y).norm()
    last = ((quaternion_to_matrix(q.roll(1, -1)) @ x[..., None])[..., 0] - y).norm()
    return ("wxyz" if first < last else "xyzw", "active")
