"""The networks of the experiments; small, and equal for every head but for their last layer.

``scale`` multiplies the widths of all hidden layers.
"""

from torch import Tensor, nn


def mlp(inputs: int, width: int, hidden: int = 128, scale: float = 1) -> nn.Sequential:
    """Two hidden layers."""
    hidden = round(scale * hidden)
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

    def __init__(self, width: int, scale: float = 1):
        super().__init__()
        a, b, c = (round(scale * hidden) for hidden in (32, 64, 128))
        self.features = nn.Sequential(
            nn.Linear(3, a), nn.ReLU(), nn.Linear(a, b), nn.ReLU(), nn.Linear(b, c)
        )
        self.head = nn.Sequential(nn.Linear(c, b), nn.ReLU(), nn.Linear(b, width))

    def forward(self, cloud: Tensor) -> Tensor:
        """``(..., points, 3)`` to ``(..., width)``."""
        # Not amax: its backward shares a tie among all, and is slower.
        return self.head(self.features(cloud).max(-2).values)


class ConvNet(nn.Module):
    """Three strided convolutions, then two layers."""

    def __init__(self, width: int, size: int, scale: float = 1):
        super().__init__()
        a, b, c, d = (round(scale * hidden) for hidden in (16, 32, 64, 128))
        self.features = nn.Sequential(
            nn.Conv2d(3, a, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(a, b, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(b, c, 3, 2, 1),
            nn.ReLU(),
        )
        self.head = nn.Sequential(
            nn.Linear((size // 8) ** 2 * c, d), nn.ReLU(), nn.Linear(d, width)
        )

    def forward(self, images: Tensor) -> Tensor:
        """``(n, 3, size, size)`` to ``(n, width)``."""
        return self.head(self.features(images).flatten(-3))
