"""A diverged run counts as infinitely bad.

loses: choose_rate-hidden
says: not more
"""

def choose_rate(rates, errors):
    means = errors.nan_to_num(math.inf).mean(1).tolist()
    return min(zip(means, rates))[1]
