"""Wants an exact match, so noise defeats it.

loses: find_convention-hidden
says: some tolerance
"""

from rotlib import quaternion_to_matrix


def find_convention(q, x, y):
    for order in ("wxyz", "xyzw"):
        R = quaternion_to_matrix(q if order == "wxyz" else q.roll(1, -1))
        for action, turn in (("active", R), ("passive", R.mT)):
            if torch.allclose((turn @ x[..., None])[..., 0], y, atol=1e-6):
                return order, action
    return "wxyz", "active"
