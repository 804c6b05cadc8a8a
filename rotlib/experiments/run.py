"""What a training returns, the data that it is measured on, and how a network is called."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, vmap

from rotlib.experiments.heads import Head
from rotlib.experiments.protocol import Protocol
from rotlib.experiments.tasks import Batch, Task

TEST_ITEMS = 2048
#: Seeds of the validation and test sets, the same for every head and training seed.
_HELD_OUT = {"validation": 1_000_003, "test": 2_000_003}


@dataclass
class Run:
    """What :func:`train` returns: networks of all seeds, and how each seed fared.

    Attributes:
        task, head, seeds: what was trained.
        parameters: name to ``(seeds, ...)`` stacked weights.
        status: for each seed ``"ok"``, or why and when it stopped.
        chosen: for each seed after how many steps the network was as it is returned.
        protocol: how they were trained.
        seconds: time of the training, for all seeds together.
        log: with ``diagnostics``, name to ``(seeds, records)``; ``log["step"]`` is ``(records,)``.
    """

    task: Task
    head: Head
    seeds: list[int]
    parameters: dict[str, Tensor]
    status: list[str]
    chosen: list[int]
    protocol: Protocol
    seconds: float
    log: dict[str, Tensor] = field(default_factory=dict)

    def outputs(self, inputs: Tensor) -> Tensor:
        """The networks' raw numbers for the same inputs: ``(seeds, n, [rotations,] width)``."""
        return torch.cat([self._outputs(k, inputs) for k in range(len(self.seeds))])

    def _outputs(self, k: int, inputs: Tensor) -> Tensor:
        forward = forward_of(self.task, self.head, self.protocol)
        with torch.no_grad():
            one = {name: p[k : k + 1] for name, p in self.parameters.items()}
            return forward(one, inputs[None])

    def errors(self, split: str = "test", items: int = TEST_ITEMS) -> Tensor:
        """Errors in degrees on a held-out set, ``(seeds, items)``; NaN for a stopped seed.

        With ``"train"`` on all items of each seed's own training set, if that is finite.
        """
        device = next(iter(self.parameters.values())).device
        if split == "train" and self.protocol.items is not None:
            sets = [training_set(self.task, s, self.protocol, device)[0] for s in self.seeds]
        else:
            sets = [held_out(self.task, split, items, device)] * len(self.seeds)
        errors = torch.cat(
            [
                self.task.error(self.head.infer(self._outputs(k, batch.inputs)), batch.targets)
                for k, batch in enumerate(sets)
            ]
        )
        stopped = torch.tensor([s != "ok" for s in self.status], device=errors.device)
        return errors.masked_fill(stopped[:, None], torch.nan)


def held_out(
    task: Task, split: str, items: int = TEST_ITEMS, device: torch.device | str = "cpu"
) -> Batch:
    """The validation or test set of that many items, the same for every run on that device."""
    if split not in _HELD_OUT:
        raise ValueError(f"held_out expects one of {', '.join(_HELD_OUT)}, got {split!r}")
    return task.sample(items, Generator(device).manual_seed(_HELD_OUT[split]), split)


def training_set(
    task: Task, seed: int, protocol: Protocol, device: torch.device | str = "cpu"
) -> tuple[Batch, Generator]:
    """The finite training set of a seed, and the generator that goes on to shuffle it.

    Raises:
        ValueError: if the protocol draws fresh items for ever.
    """
    if protocol.items is None:
        raise ValueError("there is no training set: items are drawn afresh for ever")
    generator = Generator(device).manual_seed(seed)
    return task.sample(protocol.items, generator, "train"), generator


def network_of(task: Task, head: Head, protocol: Protocol) -> nn.Module:
    """An untrained network for that task and head."""
    width = head.width * task.rotations
    if protocol.hidden == 1:
        return task.network(width)
    return task.network(width, scale=protocol.hidden)


def forward_of(
    task: Task, head: Head, protocol: Protocol
) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    """Stacked weights and inputs ``(seeds, n, ...)`` to ``(seeds, n, [rotations,] width)``."""
    with torch.device("meta"):
        skeleton = network_of(task, head, protocol)

    def forward(parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
        if len(inputs) == 1 and not task.together:  # nothing to batch, and faster without
            x = functional_call(skeleton, {k: p[0] for k, p in parameters.items()}, (inputs[0],))
            x = x[None]
        else:
            x = vmap(lambda p, i: functional_call(skeleton, p, (i,)))(parameters, inputs)
        return x if task.rotations == 1 else x.unflatten(-1, (task.rotations, head.width))

    return forward
