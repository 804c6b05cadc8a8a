"""The mean plus or minus 1.96 standard errors.

loses: paired_interval-hidden
says: one draw has one mean
"""

def paired_interval(a, b, generator, draws=4000):
    d = a - b
    reach = 1.96 * float(d.std()) / len(d) ** 0.5
    return float(d.mean()) - reach, float(d.mean()) + reach
