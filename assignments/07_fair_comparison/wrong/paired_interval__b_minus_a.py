"""The other sign.

loses: paired_interval-visible, paired_interval-hidden
says: the sign
"""

def paired_interval(a, b, generator, draws=4000):
    n = len(a)
    means = (b - a)[torch.randint(n, (draws, n), generator=generator)].mean(1)
    return tuple(means.quantile(torch.tensor([0.025, 0.975])).tolist())
