"""Draws the seeds of each head apart.

loses: paired_interval-visible, paired_interval-hidden
says: drawn together
"""

def paired_interval(a, b, generator, draws=4000):
    n = len(a)
    pick = lambda x: x[torch.randint(n, (draws, n), generator=generator)].mean(1)
    means = pick(a) - pick(b)
    return tuple(means.quantile(torch.tensor([0.025, 0.975])).tolist())
