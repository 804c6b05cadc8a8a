"""Train every seed of a configuration at once, and measure what it learned."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from tqdm.auto import tqdm

from rotlib.experiments.heads import Head, find_head
from rotlib.experiments.tasks import Batch, Task, chordal_loss, find_task
from rotlib.orthogonalize import svd_condition_number, svd_orthogonalize

BATCH_SIZE = 32
MOMENTUM = 0.9
TEST_ITEMS = 2048
OPTIMIZERS = ("adam", "sgd")

#: Batches drawn in one call of ``Task.sample``; fixed, because it shapes the random stream.
_BLOCK = 16
#: Seeds of the validation and test sets, the same for every head and training seed.
_HELD_OUT = {"validation": 1_000_003, "test": 2_000_003}

#: Initial weights are drawn from the process's one generator: a thread at a time.
_ONE_AT_A_TIME = threading.Lock()


@dataclass
class Run:
    """What :func:`train` returns: networks of all seeds, and how each seed fared.

    Attributes:
        task, head, seeds: what was trained.
        parameters: name to ``(seeds, ...)`` stacked weights.
        status: for each seed ``"ok"``, or why and when it stopped.
        seconds: time of the training, for all seeds together.
        log: with ``diagnostics``, name to ``(seeds, records)``; ``log["step"]`` is ``(records,)``.
    """

    task: Task
    head: Head
    seeds: list[int]
    parameters: dict[str, Tensor]
    status: list[str]
    seconds: float
    log: dict[str, Tensor] = field(default_factory=dict)

    def outputs(self, inputs: Tensor) -> Tensor:
        """The networks' raw numbers for the same inputs: ``(seeds, n, [rotations,] width)``."""
        forward = _forward(self.task, self.head)
        with torch.no_grad():
            return torch.cat(
                [
                    forward({k: p[s : s + 1] for k, p in self.parameters.items()}, inputs[None])
                    for s in range(len(self.seeds))
                ]
            )

    def errors(self, split: str = "test", items: int = TEST_ITEMS) -> Tensor:
        """Errors in degrees on a held-out set, ``(seeds, items)``; NaN for a stopped seed."""
        batch = held_out(self.task, split, items, next(iter(self.parameters.values())).device)
        R = self.head.infer(self.outputs(batch.inputs))
        errors = self.task.error(R, batch.targets)
        stopped = torch.tensor([s != "ok" for s in self.status], device=errors.device)
        return errors.masked_fill(stopped[:, None], torch.nan)


def held_out(
    task: Task, split: str, items: int = TEST_ITEMS, device: torch.device | str = "cpu"
) -> Batch:
    """The validation or test set of that many items, the same for every run on that device."""
    if split not in _HELD_OUT:
        raise ValueError(f"held_out expects one of {', '.join(_HELD_OUT)}, got {split!r}")
    return task.sample(items, Generator(device).manual_seed(_HELD_OUT[split]), split)


def train(
    task: Task | str,
    head: Head | str,
    seeds: int | Sequence[int] = 8,
    *,
    steps: int,
    optimizer: str = "adam",
    learning_rate: float = 1e-3,
    batch_size: int = BATCH_SIZE,
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
        optimizer: ``"adam"``, or ``"sgd"`` with momentum 0.9.
        learning_rate: at the start; positive.
        batch_size: items in a batch, for each seed.
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
    for name, value in {"steps": steps, "batch_size": batch_size}.items():
        if value < 1:
            raise ValueError(f"train expects {name} of at least 1, got {value}")
    if not 0 < learning_rate < float("inf"):
        raise ValueError(f"train expects a positive, finite learning rate, got {learning_rate}")
    together = task.together or torch.device(device).type != "cpu"
    groups = [seeds] if together else [[seed] for seed in seeds]
    started = time.perf_counter()
    with tqdm(total=steps * len(groups), disable=not progress, unit="step") as bar:
        runs = [
            _train_group(
                task, head, group, steps, optimizer, learning_rate, batch_size, device,
                diagnostics, bar.update,
            )
            for group in groups
        ]  # fmt: skip
    return Run(
        task,
        head,
        seeds,
        {name: torch.cat([run.parameters[name] for run in runs]) for name in runs[0].parameters},
        [status for run in runs for status in run.status],
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
    batch_size: int,
    device: str,
    diagnostics: int,
    advance: Callable[[], object],
) -> Run:
    parameters = _initial_parameters(task, head, seeds, device)
    forward = _forward(task, head)
    step_of = _make_optimizer(optimizer, parameters, learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(step_of, steps)
    batches = _batches(task, seeds, batch_size, steps, device)
    stopped_at = torch.full((len(seeds),), -1, device=device)
    records: list[dict[str, Tensor]] = []
    for step, batch in enumerate(batches):
        seen = head.at(step / steps)
        x = forward(parameters, batch.inputs)
        losses, gradient = _gradient_at_output(task, seen, x, batch.targets)
        finite = losses.isfinite() & gradient.flatten(1).isfinite().all(1)
        stopped_at = torch.where(~finite & (stopped_at < 0), step, stopped_at)
        if diagnostics and step % diagnostics == 0:
            records.append({"step": torch.tensor(step)} | _diagnose(task, head, x, gradient, batch))
        alive = (stopped_at < 0).view(-1, *[1] * (gradient.dim() - 1))
        step_of.zero_grad()
        x.backward(torch.where(alive, gradient, 0) / batch_size)
        step_of.step()
        schedule.step()
        advance()
        if step % 100 == 0 and not diagnostics and bool((stopped_at >= 0).all()):
            break
    with torch.no_grad():  # what the last update made of it
        sound = forward(parameters, batch.inputs).flatten(1).isfinite().all(1)
    stopped_at = torch.where((stopped_at < 0) & ~sound, steps, stopped_at)
    status = ["ok" if at < 0 else f"loss not finite at step {at}" for at in stopped_at.tolist()]
    log = {name: torch.stack([r[name] for r in records], -1).cpu() for name in (records or [{}])[0]}
    weights = {name: p.detach() for name, p in parameters.items()}
    return Run(task, head, seeds, weights, status, 0.0, log)


def _initial_parameters(task: Task, head: Head, seeds: list[int], device: str) -> dict[str, Tensor]:
    networks = []
    for seed in seeds:
        with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            networks.append(task.network(head.width * task.rotations))
    stacked, _ = stack_module_state(networks)
    return {name: p.detach().to(device).requires_grad_() for name, p in stacked.items()}


def _forward(task: Task, head: Head) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    """Stacked weights and inputs ``(seeds, n, ...)`` to ``(seeds, n, [rotations,] width)``."""
    with torch.device("meta"):
        skeleton: nn.Module = task.network(head.width * task.rotations)

    def forward(parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
        if len(inputs) == 1 and not task.together:  # nothing to batch, and faster without
            x = functional_call(skeleton, {k: p[0] for k, p in parameters.items()}, (inputs[0],))
            x = x[None]
        else:
            x = vmap(lambda p, i: functional_call(skeleton, p, (i,)))(parameters, inputs)
        return x if task.rotations == 1 else x.unflatten(-1, (task.rotations, head.width))

    return forward


def _make_optimizer(
    name: str, parameters: dict[str, Tensor], learning_rate: float
) -> torch.optim.Optimizer:
    if name == "adam":
        return torch.optim.Adam(parameters.values(), learning_rate, foreach=False)
    return torch.optim.SGD(parameters.values(), learning_rate, MOMENTUM, foreach=False)


def _batches(
    task: Task, seeds: list[int], batch_size: int, steps: int, device: str
) -> Iterator[Batch]:
    """For each step a batch ``(seeds, batch_size, ...)``; each seed has a stream of its own."""
    generators = [Generator(device).manual_seed(seed) for seed in seeds]
    for start in range(0, steps, _BLOCK):
        blocks = [task.sample(_BLOCK * batch_size, generator, "train") for generator in generators]
        inputs, targets = (torch.stack(parts) for parts in zip(*blocks, strict=True))
        for k in range(min(_BLOCK, steps - start)):
            part = slice(k * batch_size, (k + 1) * batch_size)
            yield Batch(inputs[:, part], targets[:, part])


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
    return losses.detach().mean(1), torch.autograd.grad(losses.sum(), leaf)[0]


@torch.no_grad()
def _diagnose(
    task: Task, head: Head, x: Tensor, gradient: Tensor, batch: Batch
) -> dict[str, Tensor]:
    per_item = gradient.norm(dim=-1).flatten(1)
    missing = torch.full_like(per_item[:, 0], torch.nan)
    R = head.infer(x)
    record = {
        "gradient_norm": per_item.median(1).values,
        "error": task.error(R, batch.targets).mean(1),
    }
    names = ("kappa_05", "kappa_50", "kappa_95", "negative_det", "angle_to_direct", "bend")
    record |= dict.fromkeys(names, missing)
    if head.width != 9:
        return record
    M = x.unflatten(-1, (3, 3))
    kappa = svd_condition_number(M).flatten(1)
    for share in (5, 50, 95):
        record[f"kappa_{share:02d}"] = kappa.quantile(share / 100, dim=1)
    record["negative_det"] = (torch.linalg.det(M) < 0).float().flatten(1).mean(1)
    if task.rotations == 1:
        G = gradient.unflatten(-1, (3, 3))
        record["angle_to_direct"] = _angle(G, M - batch.targets).median(1).values
        with torch.enable_grad():
            leaf = M.detach().requires_grad_()
            chordal = chordal_loss(svd_orthogonalize(leaf), batch.targets).sum()
            sent = torch.autograd.grad(chordal, leaf)[0]
        R = svd_orthogonalize(M)
        skew = R.mT @ (R - batch.targets)
        record["bend"] = _angle(sent, R @ (skew - skew.mT)).median(1).values
    return record


def _angle(A: Tensor, B: Tensor) -> Tensor:
    cosine = torch.cosine_similarity(A.flatten(-2), B.flatten(-2), dim=-1)
    return cosine.clamp(-1, 1).acos().rad2deg()
