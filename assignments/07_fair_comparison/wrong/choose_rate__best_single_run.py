"""The rate of the best single run.

loses: choose_rate-visible, choose_rate-hidden
says: the best single run
"""

def choose_rate(rates, errors):
    least = errors.nan_to_num(180.0).min(1).values
    return rates[int(least.argmin())]
