"""Right for one run, not for several.

loses: risk_coverage-hidden
says: a batch of shape
"""

def risk_coverage(errors, confidence):
    pairs = sorted(zip(confidence.tolist(), errors.tolist()), reverse=True)
    means, total = [], 0.0
    for count, (_, error) in enumerate(pairs, 1):
        total += error
        means.append(total / count)
    return torch.tensor(means).reshape(errors.shape) if errors.dim() == 1 else torch.stack(means)
