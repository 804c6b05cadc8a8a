"""Run heads x tasks x optimisers x learning rates x budgets x seeds, and survive being killed.

    python -m rotlib.experiments.sweep --task wahba --heads 9d-raw,9d-svd --optimizers adam \\
        --rates 1e-3,3e-3 --steps 500,2000 --seeds 8 --out wahba.csv
    python -m rotlib.experiments.sweep --plan results/plan.toml points

The second form runs the entries of a plan, all of them or those that write the named tables.

A unit of work is one configuration, all its seeds. Each finished unit is in the table on disk
before the next is begun; started again, the same command does what is missing and ends with the
same numbers (but for the column of seconds). The table does not depend on the number of workers,
nor on whether they are local processes or a Dask cluster.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, cast

import joblib
import torch
from filelock import FileLock, Timeout
from joblib.externals.loky.process_executor import BrokenProcessPool
from tqdm.auto import tqdm

from rotlib.experiments.confidence import CONFIDENCE_COLUMNS, measure_confidence
from rotlib.experiments.entry import CONFIDENCE_KEYS, Entry, Unit, knows_confidence
from rotlib.experiments.flags import entries_of, read_flags
from rotlib.experiments.protocol import STANDARD, Protocol
from rotlib.experiments.stamp import earlier_runs, write_stamp
from rotlib.experiments.table import KEYS, add_rows, read_table
from rotlib.experiments.tasks import find_task
from rotlib.experiments.training import held_out, train


class Where(NamedTuple):
    """What all units of an entry share."""

    device: str
    clouds: str | None
    skip_unreadable: bool
    protocol: Protocol = STANDARD
    motions: str | None = None

    def made_with(self) -> dict:
        """What all rows of a table must have been made with; of the protocol what is unusual."""
        made_with = {"device": self.device, "clouds": _name(self.clouds)}
        if self.motions:
            made_with["motions"] = _name(self.motions)
        return {**made_with, **self.protocol.unusual()}


def _name(folder: str | None) -> str | None:
    return folder and Path(folder).resolve().name


class How(NamedTuple):
    """What all entries of a command share."""

    command: list[str]
    workers: int
    dask: str | None

    def run(self, entry: Entry, minutes: float) -> dict:
        """What the ``.json`` beside a table says of this run."""
        return {
            "entry": entry.name,
            "command": shlex.join(["python", "-m", "rotlib.experiments.sweep", *self.command]),
            "minutes": minutes,
            "workers": "a Dask cluster" if self.dask else self.workers,
            "seeds": entry.seeds,
        }


def run_unit(unit: Unit, where: Where) -> list[dict]:
    """Train and measure one unit: for each seed a row of the table, and of the confidences."""
    if where.device == "cpu":
        torch.set_num_threads(1)
    run = train(
        find_task(unit.task, unit.variant, where.clouds, where.skip_unreadable, where.motions),
        unit.head,
        unit.seeds,
        steps=unit.steps,
        optimizer=unit.optimizer,
        learning_rate=unit.learning_rate,
        device=where.device,
        **where.protocol._asdict(),
    )
    errors, validation = run.errors("test").double(), run.errors("validation").double()
    configuration = dict(zip(KEYS[:6], unit[:6], strict=True))
    trained = torch.full((len(unit.seeds), 1), torch.nan)
    if where.protocol.items is not None:
        trained = run.errors("train").double()
    known: dict[str, torch.Tensor] = {}
    if knows_confidence(run.task, run.head):
        outputs = run.outputs(held_out(run.task, "test", device=where.device).inputs)
        known = measure_confidence(errors, outputs.unflatten(-1, (3, 3)))
    return [
        configuration
        | {
            "seed": seed,
            "mean_deg": round(float(error.mean()), 4),
            "median_deg": round(float(error.median()), 4),
            "p99_deg": round(float(error.quantile(0.99)), 4),
            "val_mean_deg": round(float(held.mean()), 4),
            "train_mean_deg": round(float(fitted.mean()), 4),
            "chosen_step": chosen,
            "status": status,
            "seconds": round(run.seconds / len(unit.seeds), 2),
        }
        | {name: round(float(values[k]), 4) for name, values in known.items()}
        for k, (seed, error, held, fitted, chosen, status) in enumerate(
            zip(unit.seeds, errors, validation, trained, run.chosen, run.status, strict=True)
        )
    ]


def _locally(units: list[Unit], where: Where, workers: int) -> Iterator[list[dict]]:
    """Results as they come, from local processes; a killed worker's unit is done again."""
    waiting = {unit[:6]: unit for unit in units}
    failures = 0
    while waiting:
        parallel = joblib.Parallel(workers, return_as="generator_unordered")
        jobs = [joblib.delayed(run_unit)(unit, where) for unit in waiting.values()]
        try:
            for rows in cast(Iterator[list[dict]], parallel(jobs)):
                del waiting[tuple(rows[0][key] for key in KEYS[:6])]
                failures = 0
                yield rows
        except BrokenProcessPool:
            failures += 1
            if failures == 3:
                raise RuntimeError(
                    "workers died three times with nothing finished in between; too little memory?"
                ) from None


def _on_dask(units: list[Unit], where: Where, address: str) -> Iterator[list[dict]]:
    """Results as they come, from a Dask cluster, which gives a dead worker's unit to another."""
    from distributed import CancelledError, Client, KilledWorker, as_completed

    with Client(address, timeout="20s", set_as_default=False) as client:
        futures = [client.submit(run_unit, unit, where, pure=False) for unit in units]
        try:
            for future in as_completed(futures, loop=client.loop):
                yield future.result()
        except (CancelledError, KilledWorker) as error:
            raise RuntimeError(f"the Dask cluster gave up: {error}") from error


def _stages(entry: Entry) -> Iterator[list[Unit]]:
    """What is missing; each stage needs the table that the one before wrote."""
    while units := entry.missing(entry.tuning_units()):
        yield units
    yield entry.missing(entry.final_units(entry.done()))


def sweep(entry: Entry, where: Where, how: How) -> int:
    """Do what is missing of an entry; returns how many units that were."""
    made_with = where.made_with()
    earlier = {path: earlier_runs(path, made_with) for path in entry.tables}
    started = time.perf_counter()
    done = 0
    for units in filter(None, _stages(entry)):
        total = sum(unit.steps * len(unit.seeds) for unit in units)
        if how.dask:
            results = _on_dask(units, where, how.dask)
        else:
            results = _locally(units, where, how.workers)
        name = entry.name or entry.out.name
        with tqdm(total=total, unit="step", unit_scale=True, desc=name) as bar:
            for rows in results:
                # The table comes last: a unit that is in it will not be done again.
                run = how.run(entry, minutes=(time.perf_counter() - started) / 60)
                for path in entry.tables:
                    write_stamp(path, made_with, earlier[path], run)
                if entry.confidence and CONFIDENCE_COLUMNS[0] in rows[0]:
                    add_rows(entry.confidence, rows, CONFIDENCE_KEYS)
                add_rows(entry.out, rows, entry.columns(entry.out))
                bar.update(sum(row["steps"] for row in rows))
                done += 1
    return done


def _run(options: argparse.Namespace, command: list[str]) -> int:
    """All entries that the command line asks for; returns how many units they lacked."""
    if options.workers < 1:
        raise ValueError(f"workers expects at least 1, got {options.workers}")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: no CUDA device was found")
    how = How(command, options.workers, options.dask)
    work = []
    for entry in entries_of(options):
        clouds = options.clouds if entry.clouds else None
        motions = options.motions if entry.needs == "--motions" else None
        skip = bool(options.skip_unreadable)
        work.append((entry, Where(options.device, clouds, skip, entry.protocol, motions)))
    with ExitStack() as held:
        for path in dict.fromkeys(path for entry, _ in work for path in entry.tables):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                held.enter_context(FileLock(f"{path}.lock", timeout=0))
            except Timeout:
                raise RuntimeError(f"another sweep is writing {path}") from None
        for entry, where in work:  # nothing is trained before all tables are known to fit
            for path in entry.tables:
                read_table(path, entry.columns(path))
                earlier_runs(path, where.made_with())
        return sum(sweep(entry, where, how) for entry, where in work)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns its exit status."""
    command = sys.argv[1:] if arguments is None else arguments
    options = read_flags(command)
    try:
        units = _run(options, command)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"sweep: {error}", file=sys.stderr)
        return 2
    print(f"{units} units missing" + (", now done" if units else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
