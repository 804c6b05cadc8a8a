"""Of the transpose.

loses: logarithm-visible, logarithm-hidden
says: points the other way
"""

def logarithm(R):
    skew = vee(R.mT - R) / 2
    sine = skew.norm(dim=-1, keepdim=True)
    cosine = (R.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True) - 1) / 2
    return skew * torch.atan2(sine, cosine) / sine.clamp_min(1e-15)
