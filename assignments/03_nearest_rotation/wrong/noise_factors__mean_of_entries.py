"""The mean over entries instead of their sum.

loses: noise_factors-visible, noise_factors-hidden
says: mean over nine entries
"""

def noise_factors(project, sigma, n, generator):
    R = random_rotations(n, generator=generator)
    M = R + sigma * torch.randn(n, 3, 3, generator=generator)
    return float((project(M) - R).square().mean() / sigma**2)
