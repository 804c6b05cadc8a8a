"""Draws without replacement: every draw is the whole sample.

loses: paired_interval-visible, paired_interval-hidden
says: nothing was drawn
"""

def paired_interval(a, b, generator, draws=4000):
    d = a - b
    means = torch.stack([d[torch.randperm(len(d), generator=generator)].mean() for _ in range(50)])
    middle = means.mean()
    return float(middle), float(middle)
