"""Equal values take the lowest of their ranks.

loses: bonus_rank-hidden
says: share their mean rank
"""

def rank_correlation(x, y):
    ranks = [(v[:, None] > v[None, :]).sum(1).double() for v in (x, y)]
    return torch.corrcoef(torch.stack(ranks))[0, 1]
