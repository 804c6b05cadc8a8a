"""Sorts by the errors.

loses: risk_coverage-hidden
says: an oracle
"""

def risk_coverage(errors, confidence):
    return errors.sort(-1).values.cumsum(-1) / torch.arange(1, errors.shape[-1] + 1)
