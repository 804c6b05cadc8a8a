"""Of equals the first in the list.

loses: choose_rate-hidden
says: whatever their order
"""

def choose_rate(rates, errors):
    return rates[int(errors.nan_to_num(180.0).mean(1).argmin())]
