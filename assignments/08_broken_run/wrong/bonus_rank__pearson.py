"""Pearson's correlation of the numbers.

loses: bonus_rank-visible, bonus_rank-hidden
says: Of the ranks
"""

def rank_correlation(x, y):
    return torch.corrcoef(torch.stack([x, y]))[0, 1]
