"""The median.

loses: choose_rate-visible, choose_rate-hidden
says: counts as 180
"""

def choose_rate(rates, errors):
    return rates[int(errors.nan_to_num(180.0).median(1).values.argmin())]
