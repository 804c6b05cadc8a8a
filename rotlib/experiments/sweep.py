"""Run heads x tasks x optimisers x learning rates x budgets x seeds, and survive being killed.

    python -m rotlib.experiments.sweep --task wahba --heads 9d-raw,9d-svd --optimizers adam \\
        --rates 1e-3,3e-3 --steps 500,2000 --seeds 8 --out wahba.csv

A unit of work is one configuration, all its seeds. Each finished unit is in the table on disk
before the next is begun; started again, the same command does what is missing and ends with the
same numbers (but for the column of seconds). The table does not depend on the number of workers,
nor on whether they are local processes or a Dask cluster.
"""

import argparse
import itertools
import json
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import joblib
import pandas as pd
import torch
from filelock import FileLock, Timeout
from joblib.externals.loky.process_executor import BrokenProcessPool
from tqdm.auto import tqdm

from rotlib.experiments.confidence import CONFIDENCE_COLUMNS, measure_confidence
from rotlib.experiments.heads import Head, find_head
from rotlib.experiments.table import (
    KEYS,
    add_rows,
    best_rates,
    provenance,
    read_table,
    write_atomically,
)
from rotlib.experiments.tasks import Task, find_task
from rotlib.experiments.training import OPTIMIZERS, held_out, train


class Unit(NamedTuple):
    """One configuration and the seeds that it lacks."""

    task: str
    variant: str
    head: str
    optimizer: str
    learning_rate: float
    steps: int
    seeds: tuple[int, ...]


class Where(NamedTuple):
    """What every unit of a sweep shares."""

    device: str
    clouds: str | None
    skip_unreadable: bool


def _task(unit: Unit, where: Where) -> Task:
    return find_task(unit.task, unit.variant, where.clouds, where.skip_unreadable)


def _knows_confidence(task: Task, head: Head) -> bool:
    return task.rotations == 1 and head.width == 9


def _keys(table: pd.DataFrame) -> set[tuple]:
    return set(table[KEYS].itertuples(index=False, name=None))


def run_unit(unit: Unit, where: Where) -> list[dict]:
    """Train and measure one unit: for each seed a row of the table, and of the confidences."""
    if where.device == "cpu":
        torch.set_num_threads(1)
    run = train(
        _task(unit, where),
        unit.head,
        unit.seeds,
        steps=unit.steps,
        optimizer=unit.optimizer,
        learning_rate=unit.learning_rate,
        device=where.device,
    )
    errors, validation = run.errors("test").double(), run.errors("validation").double()
    configuration = dict(zip(KEYS[:6], unit[:6], strict=True))
    known: dict[str, torch.Tensor] = {}
    if _knows_confidence(run.task, run.head):
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
            "status": status,
            "seconds": round(run.seconds / len(unit.seeds), 2),
        }
        | {name: round(float(values[k]), 4) for name, values in known.items()}
        for k, (seed, error, held, status) in enumerate(
            zip(unit.seeds, errors, validation, run.status, strict=True)
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
            for rows in parallel(jobs):
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


def _missing(wanted: Sequence[Unit], options: argparse.Namespace) -> list[Unit]:
    """What the tables lack of these units."""
    done = _keys(read_table(options.out))
    both = done
    if options.confidence:
        both = done & _keys(read_table(options.confidence, [*KEYS, *CONFIDENCE_COLUMNS]))
    units = []
    for unit in wanted:
        enough = both if _knows_confidence(find_task(unit.task), find_head(unit.head)) else done
        seeds = tuple(seed for seed in unit.seeds if (*unit[:6], seed) not in enough)
        if seeds:
            units.append(unit._replace(seeds=seeds))
    return sorted(units, key=lambda unit: -unit.steps)  # the longest first: no straggler at the end


def _plan(options: argparse.Namespace) -> Iterator[list[Unit]]:
    """The stages of the sweep; the second one needs the table that the first one wrote."""
    configurations = list(
        itertools.product(options.task, options.variant, options.heads, options.optimizers)
    )

    def units(steps: Sequence[int], rates_of, seeds: int = options.seeds) -> list[Unit]:
        return [
            Unit(*key, rate, budget, tuple(range(seeds)))
            for key in configurations
            for rate in rates_of(key)
            for budget in steps
        ]

    if options.tune_steps is None:
        yield units(options.steps, lambda key: options.rates)
        return
    yield units([options.tune_steps], lambda key: options.rates, options.tune_seeds)
    table = read_table(options.out)
    chosen = best_rates(table[table["seed"] < options.tune_seeds], options.tune_steps)
    yield units(options.steps, lambda key: [chosen[key]])


def _check(options: argparse.Namespace, where: Where) -> None:
    """Fail before hours are spent, not after: every task must take every head."""
    for task_name, variant in itertools.product(options.task, options.variant):
        task = find_task(task_name, variant, where.clouds, where.skip_unreadable)
        batch = task.sample(2, torch.Generator().manual_seed(0), "train")
        for name in options.heads:
            head = find_head(name)
            shape = (2, head.width) if task.rotations == 1 else (2, task.rotations, head.width)
            task.loss(head.train(torch.randn(shape)), batch.targets)


def _stamp(
    options: argparse.Namespace, where: Where, command: list[str], earlier: dict, minutes: float
) -> dict:
    """The ``.json`` beside the table; commands that added to it before are kept."""
    entry = {
        "command": shlex.join(["python", "-m", "rotlib.experiments.sweep", *command]),
        "date": datetime.now(UTC).date().isoformat(),
        "minutes": round(minutes, 1),
        "workers": "a Dask cluster" if options.dask else options.workers,
        "seeds": options.seeds,
        "rotlib": version("rotlib"),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    runs = [run for run in earlier.get("runs", []) if run["command"] != entry["command"]]
    again = [run for run in earlier.get("runs", []) if run["command"] == entry["command"]]
    entry["minutes"] = round(minutes + sum(run["minutes"] for run in again), 1)
    return {**_settings(where), "runs": [*runs, entry]}


def _settings(where: Where) -> dict:
    clouds = where.clouds and Path(where.clouds).resolve().name
    return {"device": where.device, "clouds": clouds}


def _earlier(path: Path, where: Where) -> dict:
    """What the ``.json`` beside the table says, if there is one and it does not contradict."""
    if not path.with_suffix(".json").exists():
        return {}
    earlier = provenance(path)
    for name, value in _settings(where).items():
        if earlier.get(name) != value:
            raise ValueError(
                f"{path} was made with {name} {earlier.get(name)!r}, not {value!r}; "
                "give another name"
            )
    return earlier


def sweep(options: argparse.Namespace, command: list[str]) -> pd.DataFrame:
    """Do what is missing of the sweep, and return its table."""
    out = Path(options.out)
    where = Where(options.device, options.clouds, options.skip_unreadable)
    _check(options, where)
    out.parent.mkdir(parents=True, exist_ok=True)
    tables = [Path(name) for name in (options.confidence, options.out) if name]
    earlier = {path: _earlier(path, where) for path in tables}
    started = time.perf_counter()
    for stage in _plan(options):
        units = _missing(stage, options)
        total = sum(unit.steps * len(unit.seeds) for unit in units)
        if options.dask:
            results = _on_dask(units, where, options.dask)
        else:
            results = _locally(units, where, options.workers)
        with tqdm(total=total, unit="step", unit_scale=True, desc=out.name) as bar:
            for rows in results:
                # The table comes last: a unit that is in it will not be done again.
                minutes = (time.perf_counter() - started) / 60
                for path in tables:
                    stamp = _stamp(options, where, command, earlier[path], minutes)
                    write_atomically(path.with_suffix(".json"), json.dumps(stamp, indent=2) + "\n")
                if options.confidence and CONFIDENCE_COLUMNS[0] in rows[0]:
                    add_rows(options.confidence, rows, [*KEYS, *CONFIDENCE_COLUMNS])
                add_rows(out, rows)
                bar.update(sum(row["steps"] for row in rows))
    return read_table(out)


def _parser() -> argparse.ArgumentParser:
    def names(text: str) -> list[str]:
        return [part.strip() for part in text.split(",") if part.strip()]

    def rates(text: str) -> list[float]:
        return [float(part) for part in names(text)]

    def counts(text: str) -> list[int]:
        return [int(part) for part in names(text)]

    parser = argparse.ArgumentParser(
        prog="python -m rotlib.experiments.sweep",
        description="Train heads on tasks, all seeds of a configuration at once; resumable.",
    )
    add = parser.add_argument
    add("--task", type=names, required=True, help="wahba, points, images, kinematics")
    add("--variant", type=names, default=["clean"], help="clean, noisy, ambiguous")
    add("--heads", type=names, required=True, help="such as 9d-raw,9d-svd,6d-gs")
    add("--optimizers", type=names, default=["adam"], help="adam, sgd")
    add("--rates", type=rates, required=True, help="the grid of learning rates, one for all heads")
    add("--steps", type=counts, required=True, help="budgets, such as 500,2000,8000")
    add("--seeds", type=int, default=8, help="how many seeds: 0, 1, ...")
    add("--out", required=True, help="the table, a .csv; a .json beside it says how it was made")
    add("--tune-steps", type=int, help="choose the rate by validation error at this budget")
    add("--tune-seeds", type=int, help="with this many seeds (default: all of them)")
    add("--confidence", metavar="FILE.csv", help="a second table: how well s2 + s3 of 9D outputs "
        "ranks their errors")  # fmt: skip
    add("--clouds", help="a folder of real clouds for the points task")
    add("--skip-unreadable", action="store_true", help="leave out clouds that cannot be read")
    add("--dask", metavar="ADDRESS", help="the scheduler of a Dask cluster, instead of processes")
    add("--device", default="cpu", choices=["cpu", "cuda"])
    add("--workers", type=int, help="local processes; by default one for each core")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns its exit status."""
    command = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(command)
    if options.workers is None:
        options.workers = 1 if options.device == "cuda" else joblib.cpu_count()
    if options.tune_seeds is None:
        options.tune_seeds = options.seeds
    try:
        for name in filter(None, (options.out, options.confidence)):
            if not name.endswith(".csv"):
                raise ValueError(f"--out and --confidence expect names in .csv, got {name}")
        if options.confidence:
            if Path(options.confidence).resolve() == Path(options.out).resolve():
                raise ValueError("--out and --confidence expect two files, got one")
            Path(options.confidence).parent.mkdir(parents=True, exist_ok=True)
            read_table(options.confidence, [*KEYS, *CONFIDENCE_COLUMNS])
        for name in ("task", "variant", "heads", "optimizers", "rates", "steps"):
            if not getattr(options, name):
                raise ValueError(f"--{name} names nothing")
        if unsound := [n for n in [*options.steps, options.seeds, options.workers] if n < 1]:
            raise ValueError(f"--steps, --seeds, --workers expect at least 1, got {unsound[0]}")
        if not 1 <= options.tune_seeds <= options.seeds:
            raise ValueError(f"--tune-seeds expects 1 to {options.seeds}: {options.tune_seeds}")
        if options.tune_steps is not None and options.tune_steps < 1:
            raise ValueError(f"--tune-steps expects at least 1, got {options.tune_steps}")
        if unsound := [rate for rate in options.rates if not 0 < rate < float("inf")]:
            raise ValueError(f"--rates expects positive numbers, got {unsound[0]}")
        if unknown := set(options.optimizers) - set(OPTIMIZERS):
            raise ValueError(f"unknown optimizer {', '.join(unknown)}")
        if options.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("--device cuda: no CUDA device was found")
        Path(options.out).parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            for name in filter(None, (options.out, options.confidence)):
                held.enter_context(FileLock(f"{name}.lock", timeout=0))
            sweep(options, command)
    except Timeout:
        print(f"sweep: another sweep is writing {name}", file=sys.stderr)
        return 2
    except (ValueError, OSError, RuntimeError) as error:
        print(f"sweep: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
