"""Looks for the change of sign of w.

loses: bonus_tear-hidden
says: nothing says that w is zero
"""

def find_tear(f):
    low, high = 1e-6, 2 * math.pi - 1e-6
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if math.cos(middle / 2) <= 0 else (middle, high)
    return (low + high) / 2
