"""Looks at the first pointing only.

loses: find_convention-hidden
says: are all pointings used
"""

from rotlib import quaternion_to_matrix


def find_convention(q, x, y):
    best = {}
    for order in ("wxyz", "xyzw"):
        R = quaternion_to_matrix(q[0] if order == "wxyz" else q[0].roll(1))
        best[order, "active"] = (R @ x[0] - y[0]).norm()
        best[order, "passive"] = (R.T @ x[0] - y[0]).norm()
    return min(best, key=best.get)
