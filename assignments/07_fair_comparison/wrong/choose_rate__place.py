"""The place of the rate.

loses: choose_rate-visible, choose_rate-hidden
says: not its place
"""

def choose_rate(rates, errors):
    return int(errors.nan_to_num(180.0).mean(1).argmin())
