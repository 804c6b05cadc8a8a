"""Cuts 5 % from either side.

loses: paired_interval-hidden
says: too narrow
"""

def paired_interval(a, b, generator, draws=4000):
    n = len(a)
    means = (a - b)[torch.randint(n, (draws, n), generator=generator)].mean(1)
    return tuple(means.quantile(torch.tensor([0.05, 0.95])).tolist())
