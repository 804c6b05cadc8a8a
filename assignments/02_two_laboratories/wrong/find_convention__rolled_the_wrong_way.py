"""Moves the real part the wrong way round.

loses: find_convention-hidden
says: was taken for
"""

from rotlib import quaternion_to_matrix


def find_convention(q, x, y):
    best = {}
    for order in ("wxyz", "xyzw"):
        R = quaternion_to_matrix(q if order == "wxyz" else q.roll(-1, -1))
        best[order, "active"] = ((R @ x[..., None])[..., 0] - y).norm()
        best[order, "passive"] = ((R.mT @ x[..., None])[..., 0] - y).norm()
    return min(best, key=best.get)
