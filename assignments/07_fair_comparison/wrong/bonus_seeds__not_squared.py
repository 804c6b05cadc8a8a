"""Forgets that the width goes with the root.

loses: bonus_seeds-visible, bonus_seeds-hidden
says: square
"""

def seeds_needed(a, b, half_width):
    return max(2, math.ceil(1.96 * float((a - b).std()) / half_width))
