"""The textbook's formula: arccos of the trace, divided by the sine.

loses: logarithm-hidden
says: arccos is flat there
"""

def logarithm(R):
    cosine = (R.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True) - 1) / 2
    theta = torch.acos(cosine.clamp(-1, 1))
    safe = torch.where(theta < 1e-12, torch.ones_like(theta), theta)
    return torch.where(theta < 1e-12, 0, vee(R - R.mT) / 2 * safe / safe.sin())
