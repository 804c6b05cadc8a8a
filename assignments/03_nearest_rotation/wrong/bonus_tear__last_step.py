"""Looks at the last step only.

loses: bonus_tear-visible, bonus_tear-hidden
says: you say
"""

def find_tear(f):
    return 2 * math.pi - 1e-9
