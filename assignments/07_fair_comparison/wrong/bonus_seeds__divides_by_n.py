"""Divides by n.

loses: bonus_seeds-visible, bonus_seeds-hidden
says: n - 1
"""

def seeds_needed(a, b, half_width):
    sd = float((a - b).std(correction=0))
    return max(2, math.ceil((1.96 * sd / half_width) ** 2))
