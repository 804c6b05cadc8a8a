"""Breaks ties by position.

loses: bonus_rank-hidden
says: share their mean rank
"""

def rank_correlation(x, y):
    ranks = [v.argsort(stable=True).argsort().double() for v in (x, y)]
    return torch.corrcoef(torch.stack(ranks))[0, 1]
