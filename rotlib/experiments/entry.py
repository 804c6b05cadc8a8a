"""One entry of a sweep: what is to be trained, and what its tables still lack."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch

from rotlib.experiments.confidence import CONFIDENCE_COLUMNS
from rotlib.experiments.cubes import can_render
from rotlib.experiments.heads import Head, find_head
from rotlib.experiments.protocol import STANDARD, Protocol
from rotlib.experiments.table import (
    CHOSEN_COLUMNS,
    COLUMNS,
    CONFIGURATION,
    KEYS,
    STOPPED_DEG,
    best_rates,
    read_table,
)
from rotlib.experiments.tasks import Task, find_task, with_loss
from rotlib.experiments.training import OPTIMIZERS

CONFIDENCE_KEYS = [*KEYS, *CONFIDENCE_COLUMNS]
#: The search for a rate does not leave this range.
LEAST, MOST = 1e-6, 10.0
#: What an entry need not say.
DEFAULTS = {"variant": ["clean"], "optimizers": ["adam"], "seeds": 8}


class Unit(NamedTuple):
    """One configuration and the seeds that it lacks."""

    task: str
    variant: str
    head: str
    optimizer: str
    learning_rate: float
    steps: int
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """One experiment: every task with every variant, head and optimiser.

    Attributes:
        rates: optimiser to its grid of learning rates.
        tune_steps: the budget at which validation chooses the rate; ``None``: all rates are run.
        grow_rates: where it chooses the smallest or the largest rate of those run, run the next
            one of 1, 3, 10, 30, ... as well, until it chooses one in between.
        protocol: how networks are trained, if not as usual.
        clouds: whether the points are those of a folder.
        name: of the entry in its plan; ``None`` for an entry of flags.
    """

    task: Sequence[str]
    variant: Sequence[str]
    heads: Sequence[str]
    optimizers: Sequence[str]
    rates: Mapping[str, Sequence[float]]
    steps: Sequence[int]
    seeds: int
    tune_steps: int | None
    tune_seeds: int
    out: Path
    confidence: Path | None = None
    clouds: bool = False
    name: str | None = None
    protocol: Protocol = STANDARD
    grow_rates: bool = False

    def columns(self, path: Path) -> list[str]:
        """Of that one of its tables."""
        if path == self.confidence:
            return CONFIDENCE_KEYS
        chooses = self.protocol.items is not None or self.protocol.checks
        return CHOSEN_COLUMNS if chooses else COLUMNS

    def done(self) -> pd.DataFrame:
        """Its table as it is."""
        return read_table(self.out, self.columns(self.out))

    @property
    def tables(self) -> list[Path]:
        """The files that it writes; the table comes last."""
        return [path for path in (self.confidence, self.out) if path]

    @property
    def needs(self) -> str | None:
        """What it cannot be run without, if anything: a flag, or the extra ``cubes``."""
        if self.clouds:
            return "--clouds"
        if any(task.startswith("motion") for task in self.task):
            return "--motions"
        return "cubes" if "cube" in self.task else None

    def check(
        self,
        clouds: str | None = None,
        skip_unreadable: bool = False,
        motions: str | None = None,
    ) -> None:
        """Fail before hours are spent, not after: sound numbers, and every task takes every head.

        Raises:
            ValueError: names what is wrong.
        """
        for name in ("task", "variant", "heads", "optimizers", "steps"):
            if not getattr(self, name):
                raise ValueError(f"{name} names nothing")
        if unknown := set(self.optimizers) - set(OPTIMIZERS):
            raise ValueError(f"unknown optimizer {', '.join(sorted(unknown))}")
        counts = [("steps", n) for n in self.steps] + [("seeds", self.seeds)]
        if self.tune_steps is not None:
            counts.append(("tune-steps", self.tune_steps))
        for name, count in counts:
            if count < 1:
                raise ValueError(f"{name} expects at least 1, got {count}")
        if not 1 <= self.tune_seeds <= self.seeds:
            raise ValueError(f"tune-seeds expects 1 to {self.seeds}, got {self.tune_seeds}")
        for optimizer in self.optimizers:
            if not self.rates.get(optimizer):
                raise ValueError(f"rates names nothing for {optimizer}")
            if unsound := [r for r in self.rates[optimizer] if not 0 < r < float("inf")]:
                raise ValueError(f"rates expects positive numbers, got {unsound[0]}")
        for steps in (*self.steps, *filter(None, [self.tune_steps])):
            self.protocol.check(steps)
        if (self.needs == "--motions" and not motions) or (
            self.needs == "cubes" and not can_render()
        ):
            return  # it will not be run
        for task_name, variant in itertools.product(self.task, self.variant):
            folder = clouds if self.clouds else None
            task = find_task(task_name, variant, folder, skip_unreadable, motions)
            task = with_loss(task, self.protocol.loss)
            batch = task.sample(2, torch.Generator().manual_seed(0), "train")
            for name in self.heads:
                head = find_head(name)
                shape = (2, head.width) if task.rotations == 1 else (2, task.rotations, head.width)
                task.loss(head.train(torch.randn(shape)), batch.targets)

    def tuning_units(self) -> list[Unit]:
        """The first stage: every rate at the budget of tuning; nothing without tuning."""
        if self.tune_steps is None:
            return []
        rates = self._grown_rates(self.tune_steps) if self.grow_rates else {}
        return self._units(
            [self.tune_steps], lambda key: rates.get(key, self.rates[key[3]]), self.tune_seeds
        )

    def _tuned_on(self, table: pd.DataFrame) -> pd.DataFrame:
        return table.loc[table["seed"] < self.tune_seeds]

    def _grown_rates(self, tune_steps: int) -> dict[tuple, list[float]]:
        """For each configuration in its table the grid, and as far beyond it as the best asks."""
        rows = self._tuned_on(self.done())
        rows = rows.loc[rows["steps"] == tune_steps].fillna({"val_mean_deg": STOPPED_DEG})
        means = rows.groupby([*CONFIGURATION, "learning_rate"])["val_mean_deg"].mean()
        grown = {}
        for key in means.index.droplevel("learning_rate").unique():
            rates, found = list(self.rates.get(key[3], [])), means.loc[key]
            while rates and all(rate in found.index for rate in rates):
                best = min(rates, key=lambda rate: (found[rate], rate))
                wanted = [next_rate(best, best == max(rates))] if best in _ends(rates) else []
                if not wanted or not LEAST <= wanted[0] <= MOST:
                    break
                rates += wanted
            grown[key] = rates
        return grown

    def final_units(self, table: pd.DataFrame) -> list[Unit]:
        """The second stage: the rates that ``table``, with the first stage in it, chooses."""
        if self.tune_steps is None:
            return self._units(self.steps, lambda key: self.rates[key[3]], self.seeds)
        chosen = best_rates(self._tuned_on(table), self.tune_steps)
        return self._units(self.steps, lambda key: [chosen[key]], self.seeds)

    def _units(
        self, steps: Sequence[int], rates_of: Callable[[tuple], Sequence[float]], seeds: int
    ) -> list[Unit]:
        return [
            Unit(*key, rate, budget, tuple(range(seeds)))
            for key in itertools.product(self.task, self.variant, self.heads, self.optimizers)
            for rate in rates_of(key)
            for budget in steps
        ]

    def missing(self, wanted: Sequence[Unit]) -> list[Unit]:
        """What its tables lack of these units."""
        done = keys_of(self.done())
        both = done
        if self.confidence:
            both = done & keys_of(read_table(self.confidence, CONFIDENCE_KEYS))
        units = []
        for unit in wanted:
            enough = done
            if self.confidence and knows_confidence(find_task(unit.task), find_head(unit.head)):
                enough = both
            seeds = tuple(seed for seed in unit.seeds if (*unit[:6], seed) not in enough)
            if seeds:
                units.append(unit._replace(seeds=seeds))
        return sorted(units, key=lambda unit: -unit.steps)  # the longest first: no straggler


def _ends(rates: Sequence[float]) -> tuple[float, float]:
    return min(rates), max(rates)


def next_rate(rate: float, up: bool) -> float:
    """The next larger or smaller one of ..., 1e-3, 3e-3, 1e-2, 3e-2, ..."""
    exponent = math.floor(math.log10(rate) + 1e-9)
    ladder = [float(f"{digit}e{e}") for e in range(exponent - 1, exponent + 2) for digit in (1, 3)]
    if up:
        return min(step for step in ladder if step > rate * (1 + 1e-9))
    return max(step for step in ladder if step < rate * (1 - 1e-9))


def keys_of(table: pd.DataFrame) -> set[tuple]:
    """Configuration and seed of each row."""
    return set(table[KEYS].itertuples(index=False, name=None))


def knows_confidence(task: Task, head: Head) -> bool:
    """Whether the singular values of an output are those of one rotation."""
    return task.rotations == 1 and head.width == 9
