"""Ignores the generator.

loses: noise_factors-hidden
says: same generator
"""

def noise_factors(project, sigma, n, generator):
    R = random_rotations(n)
    M = R + sigma * torch.randn(n, 3, 3)
    return float((project(M) - R).square().sum((-2, -1)).mean() / sigma**2)
