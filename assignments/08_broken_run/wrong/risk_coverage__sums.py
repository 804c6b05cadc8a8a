"""Sums, not means.

loses: risk_coverage-visible, risk_coverage-hidden
says: means are asked for
"""

def risk_coverage(errors, confidence):
    return errors.gather(-1, confidence.argsort(-1, descending=True)).cumsum(-1)
