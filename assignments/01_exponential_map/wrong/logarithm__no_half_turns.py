"""No third region: the axis of a half turn is divided out of nothing.

loses: logarithm-hidden
says: half a turn
"""

def logarithm(R):
    skew = vee(R - R.mT) / 2
    sine = skew.norm(dim=-1, keepdim=True)
    cosine = (R.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True) - 1) / 2
    theta = torch.atan2(sine, cosine)
    return torch.where(sine < 1e-8, skew, skew * theta / sine.clamp_min(1e-8))
