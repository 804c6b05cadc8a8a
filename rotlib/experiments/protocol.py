"""How a network is trained, whatever its head: data, batch, size, loss, and when to stop."""

from typing import NamedTuple

SCHEDULES = ("cosine", "constant")
LOSSES = ("l2", "l1")


class Protocol(NamedTuple):
    """All but head, optimiser, rate and budget; by default the protocol of the book.

    Attributes:
        batch_size: items in a batch, for each seed.
        items: of a finite training set, drawn once for each seed and then visited in shuffled
            passes; ``None``: fresh items for ever.
        hidden: by what the widths of all hidden layers are multiplied.
        loss: ``"l2"``, half the sum of squares, or ``"l1"``, the sum of absolute differences.
        schedule: the learning rate falls to zero on half a cosine, or stays ``"constant"``.
        checks: how often, evenly over the steps, the loss on the validation set is taken; the
            network of the least one is returned. 0: never, and the last network is returned.
        patience: stop after that many checks in a row that brought nothing; ``None``: never.
    """

    batch_size: int = 32
    items: int | None = None
    hidden: float = 1
    loss: str = "l2"
    schedule: str = "cosine"
    checks: int = 0
    patience: int | None = None

    def unusual(self) -> dict:
        """What differs from the protocol of the book."""
        usual = type(self)._field_defaults
        return {name: value for name, value in self._asdict().items() if value != usual[name]}

    def check(self, steps: int) -> None:
        """Fail before anything is trained.

        Raises:
            ValueError: names what is wrong.
        """
        if self.batch_size < 1:
            raise ValueError(f"train expects batch_size of at least 1, got {self.batch_size}")
        if self.items is not None and self.items < self.batch_size:
            raise ValueError(f"items expects at least {self.batch_size}, a batch; got {self.items}")
        if not 0 < self.hidden < float("inf"):
            raise ValueError(f"hidden expects a positive number, got {self.hidden}")
        for name, known in {"loss": LOSSES, "schedule": SCHEDULES}.items():
            if getattr(self, name) not in known:
                expected = " or ".join(known)
                raise ValueError(f"{name} expects {expected}, got {getattr(self, name)!r}")
        if not 0 <= self.checks <= steps:
            raise ValueError(f"checks expects 0 to {steps}, the steps; got {self.checks}")
        if self.patience is not None and not (self.checks and self.patience >= 1):
            raise ValueError(f"patience expects at least 1, and checks; got {self.patience}")


#: The protocol of the book.
STANDARD = Protocol()
