"""Knows the visible files.

loses: find_convention-hidden
says: was taken for
"""

from rotlib import quaternion_to_matrix


def find_convention(q, x, y):
    fits = torch.allclose((quaternion_to_matrix(q) @ x[..., None])[..., 0], y)
    return ("wxyz", "active") if fits else ("wxyz", "passive")
