"""Forgets to divide.

loses: noise_factors-visible, noise_factors-hidden
says: units of sigma
"""

def noise_factors(project, sigma, n, generator):
    R = random_rotations(n, generator=generator)
    M = R + sigma * torch.randn(n, 3, 3, generator=generator)
    return float((project(M) - R).square().sum((-2, -1)).mean())
