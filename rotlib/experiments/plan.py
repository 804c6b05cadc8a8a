"""A plan: many experiments in one TOML file.

It says once what its entries share, then names each of them. The keys of an entry are the flags of
:mod:`rotlib.experiments.sweep`, but for three. ``table`` stands for ``--out``, and like
``confidence`` it names a file beside the plan, without its ``.csv``. ``clouds = true`` says that
the entry needs the folder of ``--clouds``. ``gpu-steps`` are budgets that only a GPU goes on to;
what it makes is in the folder ``cuda`` beside the plan::

    [defaults]
    seeds = 8

    [rates]
    adam = [1e-3, 3e-3]

    [heads]
    both = ["9d-raw", "9d-svd"]

    [run.wahba-500]
    table = "wahba"
    task = ["wahba"]
    heads = ["both", "6d-gs"]
    steps = [500]
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rotlib.experiments.entry import DEFAULTS, Entry
from rotlib.experiments.heads import find_head
from rotlib.experiments.protocol import Protocol
from rotlib.experiments.training import OPTIMIZERS


def _list_of(*types: type) -> Callable[[object], bool]:
    return lambda value: type(value) is list and all(type(item) in types for item in value)


#: What a key holds: in words, and how that is checked. (To Python, True is a whole number.)
_NAMES = ("a list of names", _list_of(str))
_COUNTS = ("a list of whole numbers", _list_of(int))
_COUNT = ("a whole number", lambda value: type(value) is int)
_RATES = ("a list of numbers", _list_of(float, int))
_TABLE = (
    "a name such as 'points', without folder or ending",
    lambda value: type(value) is str and value.replace("-", "_").isidentifier(),
)
_KEYS = {
    "table": _TABLE,
    "task": _NAMES,
    "variant": _NAMES,
    "heads": _NAMES,
    "optimizers": _NAMES,
    "rates": _RATES,
    "tune-steps": _COUNT,
    "steps": _COUNTS,
    "gpu-steps": _COUNTS,
    "seeds": _COUNT,
    "tune-seeds": _COUNT,
    "confidence": _TABLE,
    "clouds": ("true or false", lambda value: type(value) is bool),
    "grow-rates": ("true or false", lambda value: type(value) is bool),
    "batch": _COUNT,
    "items": _COUNT,
    "hidden": ("a number", lambda value: type(value) in (int, float)),
    "loss": ("l1 or l2", lambda value: type(value) is str),
    "schedule": ("cosine or constant", lambda value: type(value) is str),
    "checks": _COUNT,
    "patience": _COUNT,
}
_SECTION = ("a section", lambda value: type(value) is dict)
_SECTIONS = ("defaults", "rates", "heads", "run")
_REQUIRED = ("table", "task", "heads", "steps")


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Errors from inside say where in the plan they are."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def _require_kinds(settings: object, kinds: dict[str, tuple]) -> None:
    if type(settings) is not dict:
        raise ValueError(f"expects keys and values, got {settings!r}")
    if unknown := set(settings) - set(kinds):
        raise ValueError(f"unknown key {', '.join(sorted(unknown))}; known are {', '.join(kinds)}")
    for key, value in settings.items():
        words, fits = kinds[key]
        if not fits(value):
            raise ValueError(f"{key} expects {words}, got {value!r}")


def _heads(names: Sequence[str], lists: dict[str, list[str]]) -> list[str]:
    """The heads of these names, each of which may be that of a list; none twice."""
    return list(dict.fromkeys(head for name in names for head in lists.get(name, [name])))


def protocol_of(settings: Mapping) -> Protocol:
    """What the settings say of it; the rest as usual."""
    said = {"batch_size" if key == "batch" else key: value for key, value in settings.items()}
    return Protocol(**{key: said[key] for key in Protocol._fields if said.get(key) is not None})


def _entry(name: str, settings: dict, plan: dict, folder: Path, on_gpu: bool) -> Entry:
    if missing := [key for key in _REQUIRED if key not in settings]:
        raise ValueError(f"{', '.join(missing)} missing")
    grids = plan["rates"]
    if "rates" in settings:
        grids = {optimizer: settings["rates"] for optimizer in settings["optimizers"]}
    if on_gpu:
        folder = folder / "cuda"
    return Entry(
        task=settings["task"],
        variant=settings["variant"],
        heads=_heads(settings["heads"], plan["heads"]),
        optimizers=settings["optimizers"],
        rates=grids,
        steps=settings["steps"] + (settings.get("gpu-steps", []) if on_gpu else []),
        seeds=settings["seeds"],
        tune_steps=settings.get("tune-steps"),
        tune_seeds=settings.get("tune-seeds", settings["seeds"]),
        out=folder / f"{settings['table']}.csv",
        confidence=folder / f"{settings['confidence']}.csv" if "confidence" in settings else None,
        clouds=settings.get("clouds", False),
        name=name,
        protocol=protocol_of(settings),
        grow_rates=settings.get("grow-rates", False),
    )


def _require_tables_of_one_kind(entries: Sequence[Entry]) -> None:
    """A table holds errors or confidences, of generated or of real clouds, by one protocol."""
    kinds: dict[Path, tuple] = {}
    for entry in entries:
        for path, holds in ((entry.confidence, "confidences"), (entry.out, "errors")):
            protocol = ", ".join(f"{k} {v}" for k, v in entry.protocol.unusual().items())
            clouds = "real clouds" if entry.clouds else "no real clouds"
            kind = (holds, f"{clouds}, {protocol}" if protocol else clouds)
            if path and kinds.setdefault(path, kind) != kind:
                raise ValueError(
                    f"the table {path.stem} is for {' and '.join(kinds[path])}; "
                    f"run.{entry.name} expects another for {' and '.join(kind)}"
                )


def read_plan(
    path: Path | str,
    device: str = "cpu",
    clouds: str | None = None,
    motions: str | None = None,
) -> list[Entry]:
    """The entries of the plan at ``path``, in its order, each of them checked.

    Raises:
        ValueError: if it is no TOML, says something unknown or unsound, or lacks something;
            names the line or the entry.
    """
    path = Path(path)
    with _at(str(path)):
        plan = {section: {} for section in _SECTIONS}
        plan |= tomllib.loads(path.read_text(encoding="utf-8"))
        _require_kinds(plan, dict.fromkeys(_SECTIONS, _SECTION))
        with _at("[defaults]"):
            _require_kinds(plan["defaults"], _KEYS)
        with _at("[rates]"):
            _require_kinds(plan["rates"], dict.fromkeys(OPTIMIZERS, _RATES))
        with _at("[heads]"):
            _require_kinds(plan["heads"], dict.fromkeys(plan["heads"], _NAMES))
            for name, members in plan["heads"].items():  # a list may name those before it
                plan["heads"][name] = _heads(members, plan["heads"])
                with _at(name):
                    for head in plan["heads"][name]:
                        find_head(head)
        entries = []
        for name, settings in plan["run"].items():
            with _at(f"[run.{name}]"):
                _require_kinds(settings, _KEYS)
                settings = DEFAULTS | plan["defaults"] | settings
                entries.append(_entry(name, settings, plan, path.parent, device == "cuda"))
                entries[-1].check(clouds, motions=motions)
        if not entries:
            raise ValueError("no section [run.NAME]: nothing to run")
        _require_tables_of_one_kind(entries)
    return entries
