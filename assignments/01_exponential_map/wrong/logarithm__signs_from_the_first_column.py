"""Near half a turn the signs within the axis come from its first entry.

loses: logarithm-hidden
says: signs within the axis
"""

def logarithm(R):
    skew = vee(R - R.mT) / 2
    sine = skew.norm(dim=-1, keepdim=True)
    cosine = (R.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True) - 1) / 2
    theta = torch.atan2(sine, cosine)
    plain = skew * torch.where(theta < 1e-4, 1 + theta**2 / 6, theta / torch.where(sine > 0, sine, 1))
    S = (R + R.mT) / 2 - cosine[..., None] * torch.eye(3)
    sign = lambda x: torch.where(x < 0, -1.0, 1.0)
    a = S.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt()
    a = a * torch.stack([torch.ones_like(a[..., 0]), sign(S[..., 0, 1]), sign(S[..., 0, 2])], -1)
    a = torch.nn.functional.normalize(a, dim=-1)
    return torch.where(theta > 3.0, sign((a * skew).sum(-1, keepdim=True)) * theta * a, plain)
