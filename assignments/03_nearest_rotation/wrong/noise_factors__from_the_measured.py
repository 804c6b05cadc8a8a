"""The distance to the spoiled matrix.

loses: noise_factors-visible, noise_factors-hidden
says: must give 9
"""

def noise_factors(project, sigma, n, generator):
    R = random_rotations(n, generator=generator)
    M = R + sigma * torch.randn(n, 3, 3, generator=generator)
    return float((project(M) - M).square().sum((-2, -1)).mean() / sigma**2)
