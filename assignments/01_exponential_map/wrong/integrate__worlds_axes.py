"""The factor on the left: the axes of the world.

loses: integrate-visible, integrate-hidden
says: world's axes
"""

from rotlib import rotvec_to_matrix


def integrate(rates, dt):
    R = [torch.eye(3)]
    for turn in rotvec_to_matrix(rates * dt):
        R.append(turn @ R[-1])
    return torch.stack(R)
