"""Leaves diverged runs out of the mean.

loses: choose_rate-visible, choose_rate-hidden
says: counts as 180
"""

def choose_rate(rates, errors):
    return rates[int(errors.nanmean(1).nan_to_num(180.0).argmin())]
