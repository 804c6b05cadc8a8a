"""Forgets the orientation before the first step.

loses: integrate-visible, integrate-hidden
says: three orientations
"""

from rotlib import rotvec_to_matrix


def integrate(rates, dt):
    R, path = torch.eye(3), []
    for turn in rotvec_to_matrix(rates * dt):
        R = R @ turn
        path.append(R)
    return torch.stack(path)
