"""One argsort in the place of two.

loses: bonus_rank-visible, bonus_rank-hidden
says: which number stands there
"""

def rank_correlation(x, y):
    return torch.corrcoef(torch.stack([v.argsort().double() for v in (x, y)]))[0, 1]
