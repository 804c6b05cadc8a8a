"""The spread of the errors in the place of that of the differences.

loses: bonus_seeds-visible, bonus_seeds-hidden
says: not the errors
"""

def seeds_needed(a, b, half_width):
    sd2 = float(a.var() + b.var())
    return max(2, math.ceil(1.96**2 * sd2 / half_width**2))
