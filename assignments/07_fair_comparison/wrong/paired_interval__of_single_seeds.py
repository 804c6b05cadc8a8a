"""Percentiles of the differences, not of their mean.

loses: paired_interval-hidden
says: too wide
"""

def paired_interval(a, b, generator, draws=4000):
    return tuple((a - b).quantile(torch.tensor([0.025, 0.975])).tolist())
