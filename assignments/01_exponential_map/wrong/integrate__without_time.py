"""Forgets the time between two steps; with one second it does not show.

loses: integrate-hidden
says: is dt in it
"""

from rotlib import rotvec_to_matrix


def integrate(rates, dt):
    R = [torch.eye(3)]
    for turn in rotvec_to_matrix(rates):
        R.append(R[-1] @ turn)
    return torch.stack(R)
