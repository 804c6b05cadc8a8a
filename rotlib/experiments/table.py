"""The tidy table of a sweep: kept on disk, tuned, summarised, compared seed by seed."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

KEYS = ["task", "variant", "head", "optimizer", "learning_rate", "steps", "seed"]
COLUMNS = [*KEYS, "mean_deg", "median_deg", "p99_deg", "val_mean_deg", "status", "seconds"]
CONFIGURATION = KEYS[:4]
#: What a seed that stopped counts as, wherever errors are ranked or averaged.
STOPPED_DEG = 180.0


def read_table(path: Path | str, columns: list[str] = COLUMNS) -> pd.DataFrame:
    """The table at ``path``; an empty one if there is no file.

    Raises:
        ValueError: if the file is not a table of a sweep.
    """
    path = Path(path)
    if not path.exists():
        return pd.DataFrame(columns=columns)
    try:
        table = pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a table: {error}") from None
    if list(table.columns) != columns:
        raise ValueError(f"{path} expects the columns {', '.join(columns)}")
    return table


def write_atomically(path: Path, text: str) -> None:
    """Replace the file at once: whoever reads it, at any moment, finds the old or the new text."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def add_rows(path: Path | str, rows: Sequence[dict], columns: list[str] = COLUMNS) -> None:
    """Add rows to the table at ``path``, in the order of its keys; the file is replaced at once.

    A row whose keys are there already replaces the old one.
    """
    old, fresh = read_table(path, columns), pd.DataFrame(rows, columns=columns)
    table = fresh if old.empty else pd.concat([old, fresh]).drop_duplicates(KEYS, keep="last")
    text = table.sort_values(KEYS).to_csv(index=False, lineterminator="\n")
    write_atomically(Path(path), text)


def provenance(path: Path | str) -> dict:
    """How the table at ``path`` was made: the ``.json`` beside it."""
    return json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8"))


def best_rates(table: pd.DataFrame, steps: int) -> dict[tuple, float]:
    """For each task, variant, head and optimiser the learning rate of the least validation error.

    Only the rates run with the most seeds compete: the others were candidates before. The error
    is the mean over seeds, a stopped seed counting as 180 degrees; of equals the smaller rate
    wins.
    """
    rows = table[table["steps"] == steps].fillna({"val_mean_deg": STOPPED_DEG})
    rates = rows.groupby([*CONFIGURATION, "learning_rate"])["val_mean_deg"].agg(["size", "mean"])
    order = rates.reset_index().sort_values(
        ["size", "mean", "learning_rate"], ascending=[False, True, True]
    )
    return order.groupby(CONFIGURATION)["learning_rate"].first().to_dict()


def tuned(table: pd.DataFrame) -> pd.DataFrame:
    """For each configuration and budget the rows of the rate that validation chose there."""
    parts = []
    for _, rows in table.groupby("steps"):
        best = best_rates(rows, rows["steps"].iloc[0])
        chosen = [best[key] for key in rows[CONFIGURATION].itertuples(index=False, name=None)]
        parts.append(rows[rows["learning_rate"] == chosen])
    return pd.concat(parts) if parts else table


def _groups(table: pd.DataFrame, by: list[str]) -> Iterator[tuple[dict, pd.DataFrame]]:
    """The groups of rows that agree in ``by``, in order of appearance, each with what it is."""
    for key, group in table.groupby(by, sort=False):
        yield dict(zip(by, cast(tuple, key), strict=True)), group


def _interval(values: np.ndarray, statistic) -> tuple[float, float]:
    """The central 95 % of a statistic over resampled seeds, the same on every call."""
    if len(values) == 1:  # which SciPy refuses; there is nothing to resample
        return float(values[0]), float(values[0])
    found = bootstrap((values,), statistic, n_resamples=10_000, method="percentile", rng=0)
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def summary(table: pd.DataFrame, metric: str = "mean_deg") -> pd.DataFrame:
    """Median over seeds with a bootstrap interval, for each configuration and budget.

    Stopped seeds count as 180 degrees, and are counted in ``stopped``.

    Returns:
        Columns ``task, variant, head, optimizer, steps, learning_rate, median, low, high,
        seeds, stopped``.
    """
    rows = []
    for key, group in _groups(tuned(table), [*CONFIGURATION, "steps"]):
        values = group[metric].fillna(STOPPED_DEG).to_numpy()
        low, high = _interval(values, np.median)
        rows.append(
            key
            | {
                "learning_rate": group["learning_rate"].iloc[0],
                "median": float(np.median(values)),
                "low": low,
                "high": high,
                "seeds": len(values),
                "stopped": sum(group["status"] != "ok"),
            }
        )
    return pd.DataFrame(rows)


def paired(table: pd.DataFrame, head: str, against: str, metric: str = "mean_deg") -> pd.DataFrame:
    """Two heads compared seed by seed: same initial stream, same batches, same test set.

    Returns:
        A row for each task, variant, optimiser and budget. Its ``difference`` is the mean of
        ``head`` minus ``against`` in degrees, its ``ratio`` the geometric mean of ``head`` over
        ``against``; each has a bootstrap interval ``..._low``, ``..._high``. The number of
        ``seeds`` comes last.

    Raises:
        ValueError: if the table lacks one of the heads, or a seed was run for one of them only.
    """
    both = tuned(table).fillna({metric: STOPPED_DEG})
    for name in (head, against):
        if name not in set(both["head"]):
            raise ValueError(f"paired: the table has no rows of {name!r}")
    rows = []
    for row, group in _groups(both, ["task", "variant", "optimizer", "steps"]):
        a, b = (group[group["head"] == name].set_index("seed")[metric] for name in (head, against))
        if a.empty or b.empty:
            continue
        if set(a.index) != set(b.index):
            raise ValueError(f"paired: {head} and {against} ran with different seeds at {row}")
        difference, ratio = (a - b).to_numpy(), np.log((a / b).to_numpy())
        row["difference"] = float(difference.mean())
        row["difference_low"], row["difference_high"] = _interval(difference, np.mean)
        row["ratio"] = float(np.exp(ratio.mean()))
        row["ratio_low"], row["ratio_high"] = (float(np.exp(x)) for x in _interval(ratio, np.mean))
        rows.append(row | {"seeds": len(difference)})
    return pd.DataFrame(rows)
