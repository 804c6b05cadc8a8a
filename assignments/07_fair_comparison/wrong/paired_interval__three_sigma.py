"""The mean plus or minus three standard errors.

loses: paired_interval-hidden
says: too wide
"""

def paired_interval(a, b, generator, draws=4000):
    d = a - b
    reach = 3 * d.std() / len(d) ** 0.5
    return float(d.mean() - reach), float(d.mean() + reach)
