"""The command line of the sweep in its two forms: flags that describe one entry, or a plan."""

import argparse
from pathlib import Path

import joblib

from rotlib.experiments.cubes import can_render
from rotlib.experiments.entry import DEFAULTS, Entry
from rotlib.experiments.plan import protocol_of, read_plan


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
    add("tables", metavar="TABLE", nargs="*", help="with --plan: only what writes these tables")
    add("--plan", metavar="FILE.toml", help="run the entries of this plan; goes with --device, "
        "--workers, --dask, --clouds and --motions only")  # fmt: skip
    add(
        "--task",
        type=names,
        help="wahba, points, images, kinematics, cube, motion, motion-positions",
    )
    add("--variant", type=names, help="clean (by default), noisy, ambiguous")
    add("--heads", type=names, help="such as 9d-raw,9d-svd,6d-gs")
    add("--optimizers", type=names, help="adam (by default), adamw, sgd")
    add("--rates", type=rates, help="the grid of learning rates, one for all heads")
    add("--steps", type=counts, help="budgets, such as 500,2000,8000")
    add("--seeds", type=int, help="how many seeds: 0, 1, ...; by default 8")
    add("--out", help="the table, a .csv; a .json beside it says how it was made")
    add("--tune-steps", type=int, help="choose the rate by validation error at this budget")
    add("--tune-seeds", type=int, help="with this many seeds (default: all of them)")
    add("--grow-rates", action="store_true", default=None,
        help="run more rates where the first or the last of the grid is chosen")  # fmt: skip
    add("--confidence", metavar="FILE.csv", help="a second table: how well s2 + s3 of 9D outputs "
        "ranks their errors")  # fmt: skip
    add("--batch", type=int, help="items in a batch (32)")
    add("--items", type=int, help="of a finite training set; by default fresh ones for ever")
    add("--hidden", type=float, help="multiplies the widths of all hidden layers")
    add("--loss", help="l2 (by default) or l1")
    add("--schedule", help="of the rate: cosine (by default) or constant")
    add("--checks", type=int, help="how often validation is asked which network to keep")
    add("--patience", type=int, help="stop after so many checks in vain")
    add("--clouds", help="a folder of real clouds for the points task")
    add("--motions", help="a folder of recordings (.bvh) for motion and motion-positions")
    add("--skip-unreadable", action="store_true", default=None,
        help="leave out clouds that cannot be read")  # fmt: skip
    add("--dask", metavar="ADDRESS", help="the scheduler of a Dask cluster, instead of processes")
    add("--device", default="cpu", choices=["cpu", "cuda"])
    add("--workers", type=int, help="local processes; by default one for each core")
    return parser


def read_flags(arguments: list[str]) -> argparse.Namespace:
    """The command line in one of its two forms; ends the process if it mixes them."""

    def flags(names: set[str]) -> str:
        return ", ".join("--" + name.replace("_", "-") for name in sorted(names))

    parser = _parser()
    options = parser.parse_args(arguments)
    given = {name for name, value in vars(options).items() if value is not None}
    if options.plan:
        if more := given - {"plan", "tables", "device", "workers", "dask", "clouds", "motions"}:
            parser.error(f"the plan says what is run: --plan goes without {flags(more)}")
    elif options.tables:
        parser.error(f"tables are named with --plan only, got {options.tables[0]}")
    elif lacking := {"task", "heads", "rates", "steps", "out"} - given:
        parser.error(f"expects --plan, or else {flags(lacking)}")
    for name in DEFAULTS.keys() - given:
        setattr(options, name, DEFAULTS[name])
    if options.workers is None:
        options.workers = 1 if options.device == "cuda" else joblib.cpu_count()
    return options


def _entry_of_flags(options: argparse.Namespace) -> Entry:
    for name in filter(None, (options.out, options.confidence)):
        if not name.endswith(".csv"):
            raise ValueError(f"--out and --confidence expect names in .csv, got {name}")
    out, confidence = Path(options.out), options.confidence and Path(options.confidence)
    if confidence and confidence.resolve() == out.resolve():
        raise ValueError("--out and --confidence expect two files, got one")
    entry = Entry(
        task=options.task,
        variant=options.variant,
        heads=options.heads,
        optimizers=options.optimizers,
        rates={optimizer: options.rates for optimizer in options.optimizers},
        steps=options.steps,
        seeds=options.seeds,
        tune_steps=options.tune_steps,
        tune_seeds=options.seeds if options.tune_seeds is None else options.tune_seeds,
        out=out,
        confidence=confidence,
        clouds=options.clouds is not None,
        protocol=protocol_of(vars(options)),
        grow_rates=bool(options.grow_rates),
    )
    if entry.needs == "cubes" and not can_render():
        raise ValueError("cube needs the extra cubes, and a way to draw: see MUJOCO_GL")
    if entry.needs == "--motions" and not options.motions:
        raise ValueError(f"{entry.task[0]} needs --motions, a folder of recordings")
    entry.check(options.clouds, options.skip_unreadable, options.motions)
    return entry


def _entries_of_plan(options: argparse.Namespace) -> list[Entry]:
    """The entries that write the named tables; or all entries that can be run."""
    entries = read_plan(options.plan, options.device, options.clouds, options.motions)
    known = dict.fromkeys(path.stem for entry in entries for path in entry.tables)
    if unknown := [name for name in options.tables if name not in known]:
        raise ValueError(f"{options.plan} has no table {unknown[0]!r}; it has {', '.join(known)}")
    if options.tables:
        named = set(options.tables)
        entries = [entry for entry in entries if named & {path.stem for path in entry.tables}]
    there = {None: True, "--clouds": options.clouds, "--motions": options.motions}
    there["cubes"] = can_render()
    for lacking in (needs for needs, found in there.items() if not found):
        if without := [str(entry.name) for entry in entries if entry.needs == lacking]:
            print(f"left out, for want of {lacking}: {', '.join(without)}")
    return [entry for entry in entries if there[entry.needs]]


def entries_of(options: argparse.Namespace) -> list[Entry]:
    """What the command line asks for, checked.

    Raises:
        ValueError: names what is wrong with it, or with its plan.
    """
    return _entries_of_plan(options) if options.plan else [_entry_of_flags(options)]
