"""Spoils the identity again and again.

loses: noise_factors-hidden
says: the same one
"""

def noise_factors(project, sigma, n, generator):
    R = torch.eye(3).expand(n, 3, 3)
    M = R + sigma * torch.randn(n, 3, 3, generator=generator)
    return float((project(M) - R).square().sum((-2, -1)).mean() / sigma**2)
