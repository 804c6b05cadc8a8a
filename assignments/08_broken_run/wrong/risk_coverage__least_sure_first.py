"""In the wrong order.

loses: risk_coverage-visible, risk_coverage-hidden
says: come first, not the least
"""

def risk_coverage(errors, confidence):
    kept = errors.gather(-1, confidence.argsort(-1)).cumsum(-1)
    return kept / torch.arange(1, errors.shape[-1] + 1)
