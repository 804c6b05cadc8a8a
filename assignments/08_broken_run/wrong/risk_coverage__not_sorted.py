"""Never sorts.

loses: risk_coverage-visible, risk_coverage-hidden
says: give 2, 6, 14
"""

def risk_coverage(errors, confidence):
    return errors.cumsum(-1) / torch.arange(1, errors.shape[-1] + 1)
