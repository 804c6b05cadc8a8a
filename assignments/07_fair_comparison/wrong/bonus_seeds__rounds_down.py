"""Rounds down.

loses: bonus_seeds-visible, bonus_seeds-hidden
says: round up
"""

def seeds_needed(a, b, half_width):
    return max(2, int((1.96 * float((a - b).std()) / half_width) ** 2))
