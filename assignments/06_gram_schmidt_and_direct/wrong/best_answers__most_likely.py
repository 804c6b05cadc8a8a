"""The most likely rotation, twice.

loses: best_answers-visible, best_answers-hidden
says: the best matrix is the mean
"""

def best_answers(R, p):
    likely = p.argmax(-1)[..., None, None, None].expand(*p.shape[:-1], 1, 3, 3)
    best = R.gather(-3, likely).squeeze(-3)
    return best, best
