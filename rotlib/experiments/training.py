"""Train every seed of a configuration at once, and measure what it learned."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, Tensor
from torch.func import stack_module_state
from tqdm.auto import tqdm

from rotlib.experiments.diagnostics import diagnose
from rotlib.experiments.heads import Head, find_head
from rotlib.experiments.protocol import STANDARD, Protocol
from rotlib.experiments.run import Run, forward_of, held_out, network_of, training_set
from rotlib.experiments.tasks import Batch, Task, find_task, with_loss

BATCH_SIZE = STANDARD.batch_size
MOMENTUM = 0.9
WEIGHT_DECAY = 0.1
OPTIMIZERS = ("adam", "adamw", "sgd")

#: Batches drawn in one call of ``Task.sample``; fixed, because it shapes the random stream.
_BLOCK = 16
#: Initial weights are drawn from the process's one generator: a thread at a time.
_ONE_AT_A_TIME = threading.Lock()


def train(
    task: Task | str,
    head: Head | str,
    seeds: int | Sequence[int] = 8,
    *,
    steps: int,
    optimizer: str = "adam",
    learning_rate: float = 1e-3,
    batch_size: int = BATCH_SIZE,
    items: int | None = None,
    hidden: float = 1,
    loss: str = "l2",
    schedule: str = "cosine",
    checks: int = 0,
    patience: int | None = None,
    device: str = "cpu",
    diagnostics: int = 0,
    progress: bool = False,
) -> Run:
    r"""Train one network for each seed, all at once.

    The loop is the same for every head: a batch, the task's loss of ``head.train(network(x))``,
    its mean over the batch, one step of the optimiser. The learning rate falls to zero on half a
    cosine. A seed fixes the initial weights and the batches, whatever the head.

    The seeds' weights are stacked, and one batched product serves them all. The numbers are those
    of training each seed alone: with this function bit for bit, however the seeds are grouped;
    against a plain loop over ``torch.nn`` modules to rounding: at a small rate less than a
    thousandth of the way that the weights go, while a large rate multiplies it. (``fused``
    optimisers are not used: their vectorised tails round differently for differently long
    tensors.) Where stacking does not pay on a CPU, see ``Task.together``, the
    seeds take turns.

    Args:
        task: a :class:`~rotlib.experiments.tasks.Task`, or the name of one.
        head: a :class:`~rotlib.experiments.heads.Head`, or the name of one.
        seeds: a list of seeds, or how many: 0, 1, ...
        steps: training steps, at least 1.
        optimizer: ``"adam"``, ``"adamw"`` with a weight decay of 0.1, or ``"sgd"`` with momentum
            0.9.
        learning_rate: at the start; positive.
        batch_size, items, hidden, loss, schedule, checks, patience: a
            :class:`~rotlib.experiments.protocol.Protocol`; by default that of the book.
        device: where to train.
        diagnostics: record the early life of the gradient every so many steps; 0 for never. The
            log then holds medians over the batch of ``gradient_norm`` (at the network's output),
            ``angle_to_direct`` (degrees between that gradient and M − T) and ``bend`` (degrees
            by which SVD in the loop would turn what the chordal loss asks for, whatever the head
            trains with), ``kappa_05``, ``kappa_50``,
            ``kappa_95``, the share ``negative_det``, and the mean training ``error`` in degrees.
            Heads that do not output a 3x3 matrix have NaN where there is none, and kinematics
            has no direct gradient.
        progress: show a progress bar.

    Returns:
        A :class:`Run`. A seed whose loss stops being finite is stopped alone, with its reason in
        ``status``.

    Raises:
        ValueError: for an unknown name or a number out of range.

    Source: chapter 14, the protocol.
    """
    task = find_task(task) if isinstance(task, str) else task
    head = find_head(head)
    seeds = list(range(seeds)) if isinstance(seeds, int) else [int(seed) for seed in seeds]
    if not seeds:
        raise ValueError("train expects at least one seed")
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"train expects one of {', '.join(OPTIMIZERS)}, got {optimizer!r}")
    if steps < 1:
        raise ValueError(f"train expects steps of at least 1, got {steps}")
    protocol = Protocol(batch_size, items, hidden, loss, schedule, checks, patience)
    protocol.check(steps)
    task = with_loss(task, loss)
    if not 0 < learning_rate < float("inf"):
        raise ValueError(f"train expects a positive, finite learning rate, got {learning_rate}")
    together = task.together or torch.device(device).type != "cpu"
    groups = [seeds] if together else [[seed] for seed in seeds]
    started = time.perf_counter()
    with tqdm(total=steps * len(groups), disable=not progress, unit="step") as bar:
        runs = [
            _train_group(
                task, head, group, steps, optimizer, learning_rate, protocol, device, diagnostics,
                bar.update,
            )
            for group in groups
        ]  # fmt: skip
    return Run(
        task,
        head,
        seeds,
        {name: torch.cat([run.parameters[name] for run in runs]) for name in runs[0].parameters},
        [status for run in runs for status in run.status],
        [step for run in runs for step in run.chosen],
        protocol,
        time.perf_counter() - started,
        {
            name: runs[0].log[name] if name == "step" else torch.cat([r.log[name] for r in runs])
            for name in runs[0].log
        },
    )


def _train_group(
    task: Task,
    head: Head,
    seeds: list[int],
    steps: int,
    optimizer: str,
    learning_rate: float,
    protocol: Protocol,
    device: str,
    diagnostics: int,
    advance: Callable[[], object],
) -> Run:
    parameters = _initial_parameters(task, head, seeds, protocol, device)
    forward = forward_of(task, head, protocol)
    step_of = _make_optimizer(optimizer, parameters, learning_rate)
    schedule = _make_schedule(protocol, step_of, steps)
    best = _Best(task, head, forward, protocol, steps, parameters) if protocol.checks else None
    stopped_at = torch.full((len(seeds),), -1, device=device)
    records: list[dict[str, Tensor]] = []
    for step, batch in enumerate(_batches(task, seeds, protocol, steps, device)):
        seen = head.at(step / steps)
        x = forward(parameters, batch.inputs)
        losses, gradient = _gradient_at_output(task, seen, x, batch.targets)
        finite = losses.isfinite() & gradient.flatten(1).isfinite().all(1)
        stopped_at = torch.where(~finite & (stopped_at < 0), step, stopped_at)
        if diagnostics and step % diagnostics == 0:
            records.append({"step": torch.tensor(step)} | diagnose(task, head, x, gradient, batch))
        alive = (stopped_at < 0).view(-1, *[1] * (gradient.dim() - 1))
        step_of.zero_grad()
        x.backward(torch.where(alive, gradient, 0) / protocol.batch_size)
        step_of.step()
        schedule.step()
        advance()
        if best and best.done_after(step + 1, parameters):
            break
        if step % 100 == 0 and not diagnostics and bool((stopped_at >= 0).all()):
            break
    with torch.no_grad():  # what the last update made of it
        sound = forward(parameters, batch.inputs).flatten(1).isfinite().all(1)
    stopped_at = torch.where((stopped_at < 0) & ~sound, steps, stopped_at)
    status = ["ok" if at < 0 else f"loss not finite at step {at}" for at in stopped_at.tolist()]
    log = {name: torch.stack([r[name] for r in records], -1).cpu() for name in (records or [{}])[0]}
    weights = {name: p.detach() for name, p in (best.parameters if best else parameters).items()}
    chosen = best.chosen.tolist() if best else [steps] * len(seeds)
    return Run(task, head, seeds, weights, status, chosen, protocol, 0.0, log)


class _Best:
    """For each seed the network of the least validation loss so far."""

    def __init__(
        self,
        task: Task,
        head: Head,
        forward: Callable[[dict[str, Tensor], Tensor], Tensor],
        protocol: Protocol,
        steps: int,
        parameters: dict[str, Tensor],
    ):
        first = next(iter(parameters.values()))
        self.task, self.head, self.forward, self.protocol = task, head, forward, protocol
        self.held_out = held_out(task, "validation", device=first.device)
        self.when = {steps * (k + 1) // protocol.checks for k in range(protocol.checks)}
        self.parameters = {name: p.detach().clone() for name, p in parameters.items()}
        self.losses = first.new_full((len(first),), torch.inf).detach()
        self.chosen = torch.zeros(len(first), dtype=torch.long, device=first.device)
        self.in_vain = torch.zeros_like(self.chosen)

    @torch.no_grad()
    def done_after(self, step: int, parameters: dict[str, Tensor]) -> bool:
        """Check, if it is time; whether all seeds' patience is at its end."""
        if step not in self.when:
            return False
        losses = torch.cat(
            [
                self.task.loss(
                    self.head.train(
                        self.forward(
                            {name: p[k : k + 1] for name, p in parameters.items()},
                            self.held_out.inputs[None],
                        )
                    ),
                    self.held_out.targets,
                ).flatten(1).mean(1)
                for k in range(len(self.losses))
            ]
        )  # fmt: skip
        patience = self.protocol.patience or self.protocol.checks
        better = (losses < self.losses) & (self.in_vain < patience)
        for name, kept in self.parameters.items():
            kept[better] = parameters[name][better]
        self.losses = torch.where(better, losses, self.losses)
        self.chosen[better] = step
        self.in_vain = torch.where(better, 0, self.in_vain + 1)
        return bool((self.in_vain >= patience).all())


def _initial_parameters(
    task: Task, head: Head, seeds: list[int], protocol: Protocol, device: str
) -> dict[str, Tensor]:
    networks = []
    for seed in seeds:
        with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            networks.append(network_of(task, head, protocol))
    stacked, _ = stack_module_state(networks)
    return {name: p.detach().to(device).requires_grad_() for name, p in stacked.items()}


def _make_optimizer(
    name: str, parameters: dict[str, Tensor], learning_rate: float
) -> torch.optim.Optimizer:
    if name == "adam":
        return torch.optim.Adam(parameters.values(), learning_rate, foreach=False)
    if name == "adamw":
        return torch.optim.AdamW(
            parameters.values(), learning_rate, weight_decay=WEIGHT_DECAY, foreach=False
        )
    return torch.optim.SGD(parameters.values(), learning_rate, MOMENTUM, foreach=False)


def _make_schedule(
    protocol: Protocol, optimizer: torch.optim.Optimizer, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if protocol.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    return torch.optim.lr_scheduler.ConstantLR(optimizer, 1)


def _batches(
    task: Task, seeds: list[int], protocol: Protocol, steps: int, device: str
) -> Iterator[Batch]:
    """For each step a batch ``(seeds, batch_size, ...)``; each seed has a stream of its own."""
    if protocol.items is None:
        streams = [_fresh(task, seed, protocol.batch_size, device) for seed in seeds]
    else:
        streams = [_passes(task, seed, protocol, device) for seed in seeds]
    for batches in itertools.islice(zip(*streams, strict=True), steps):
        inputs, targets = (torch.stack(parts) for parts in zip(*batches, strict=True))
        yield Batch(inputs, targets)


def _fresh(task: Task, seed: int, batch_size: int, device: str) -> Iterator[Batch]:
    generator = Generator(device).manual_seed(seed)
    while True:
        block = task.sample(_BLOCK * batch_size, generator, "train")
        for k in range(_BLOCK):
            part = slice(k * batch_size, (k + 1) * batch_size)
            yield Batch(block.inputs[part], block.targets[part])


def _passes(task: Task, seed: int, protocol: Protocol, device: str) -> Iterator[Batch]:
    """Over a finite set, shuffled anew for each pass; what does not fill a batch is left out."""
    whole, generator = training_set(task, seed, protocol, device)
    while True:
        order = torch.randperm(len(whole.targets), generator=generator, device=device)
        for part in order.split(protocol.batch_size):
            if len(part) == protocol.batch_size:
                yield Batch(whole.inputs[part], whole.targets[part])


def _gradient_at_output(
    task: Task, head: Head, x: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss of each seed, ``(seeds,)``, and of each item the gradient at the raw numbers.

    Each item's gradient is that of its own loss, not yet divided by the batch size, as the
    projective manifold gradient needs it.
    """
    leaf = x.detach().requires_grad_()
    seen = head.train(leaf)
    losses = task.loss(seen, targets)
    if head.penalty:
        gram = seen.mT @ seen - torch.eye(3, dtype=seen.dtype, device=seen.device)
        excess = head.penalty * gram.square().sum((-2, -1))
        losses = losses + (excess if task.rotations == 1 else excess.sum(-1))
    if head.hold:
        # The gradient of half the squared distance to the nearest rotation R is M - R.
        gap = leaf.unflatten(-1, (3, 3)) - head.infer(leaf).detach()
        excess = head.hold / 2 * gap.square().sum((-2, -1))
        losses = losses + (excess if task.rotations == 1 else excess.sum(-1))
    return losses.detach().mean(1), torch.autograd.grad(losses.sum(), leaf)[0]
