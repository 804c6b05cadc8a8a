"""The short formula, which is for numbers that all differ.

loses: bonus_rank-hidden
says: mean rank
"""

def rank_correlation(x, y):
    ranks = []
    for v in (x, y):
        below = (v[:, None] > v[None, :]).sum(1)
        ranks.append(below + ((v[:, None] == v[None, :]).sum(1) - 1) / 2)
    n = len(x)
    return 1 - 6 * (ranks[0] - ranks[1]).square().sum() / (n * (n * n - 1))
