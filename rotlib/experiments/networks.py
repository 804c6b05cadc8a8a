"""The three networks of the experiments; small, and equal for every head but for their width."""

from torch import Tensor, nn


def mlp(inputs: int, width: int, hidden: int = 128) -> nn.Sequential:
    """Two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, width),
    )


class PointNet(nn.Module):
    """Features of each point, their maximum over the cloud, then a head.

    The order of the points does not matter. Source: {cite}`qi2017pointnet`, without its
    transformation networks.
    """

    def __init__(self, width: int):
        super().__init__()
        self.features = nn.Sequential(
            nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 128)
        )
        self.head = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, width))

    def forward(self, cloud: Tensor) -> Tensor:
        """``(..., points, 3)`` to ``(..., width)``."""
        # Not amax: its backward shares a tie among all, and is slower.
        return self.head(self.features(cloud).max(-2).values)


class ConvNet(nn.Module):
    """Three strided convolutions, then two layers."""

    def __init__(self, width: int, size: int):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, 2, 1),
            nn.ReLU(),
        )
        self.head = nn.Sequential(
            nn.Linear((size // 8) ** 2 * 64, 128), nn.ReLU(), nn.Linear(128, width)
        )

    def forward(self, images: Tensor) -> Tensor:
        """``(n, 3, size, size)`` to ``(n, width)``."""
        return self.head(self.features(images).flatten(-3))
