"""Says that no seed, or one, is enough.

loses: bonus_seeds-hidden
says: fewer than 2
"""

def seeds_needed(a, b, half_width):
    return math.ceil((1.96 * float((a - b).std()) / half_width) ** 2)
