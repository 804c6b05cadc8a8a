"""M in the place of R.

loses: bonus_even-hidden
says: some gain is left
"""

def even_gradient(M, G):
    A = M.mT @ G
    return M @ (A - A.mT) / 2
