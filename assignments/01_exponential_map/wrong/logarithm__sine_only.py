"""The axis from the eigenvectors, which know nothing of the identity.

loses: logarithm-visible, logarithm-hidden
says: (0, 0, 0)
"""

def logarithm(R):
    values, vectors = torch.linalg.eigh((R + R.mT) / 2)
    axis = vectors[..., :, 2]
    skew = vee(R - R.mT) / 2
    sign = torch.where((axis * skew).sum(-1, keepdim=True) < 0, -1.0, 1.0)
    cosine = (R.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True) - 1) / 2
    theta = torch.atan2(skew.norm(dim=-1, keepdim=True), cosine)
    return sign * axis * theta.clamp_min(1e-3)
