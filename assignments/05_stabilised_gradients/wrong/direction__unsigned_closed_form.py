"""A closed form with unsigned singular values.

loses: direction-hidden
says: negative determinant
"""

def direction_error(M, G, terms):
    U, s, Vh = torch.linalg.svd(M)
    Q = U.mT @ G @ Vh.mT
    pairs = ((0, 1), (0, 2), (1, 2))
    a = torch.stack([(Q[..., i, j] - Q[..., j, i]) / (s[..., i] + s[..., j]) for i, j in pairs], -1)
    kept = torch.stack([1 - (s[..., j] / s[..., i]) ** (2 * terms) for i, j in pairs], -1)
    a, b = (v / v.norm(dim=-1, keepdim=True) for v in (a, kept * a))
    return torch.rad2deg(2 * torch.atan2((a - b).norm(dim=-1), (a + b).norm(dim=-1)))
