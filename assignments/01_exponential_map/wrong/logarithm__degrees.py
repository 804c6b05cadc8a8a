"""In degrees.

loses: logarithm-visible, logarithm-hidden
says: in degrees
"""

def logarithm(R):
    skew = vee(R - R.mT) / 2
    sine = skew.norm(dim=-1, keepdim=True)
    cosine = (R.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True) - 1) / 2
    return skew * torch.rad2deg(torch.atan2(sine, cosine)) / sine.clamp_min(1e-15)
