"""The tidy table of a sweep: kept on disk, tuned, summarised, heads compared."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from scipy.stats import quantile_test, t

KEYS = ["task", "variant", "head", "optimizer", "learning_rate", "steps", "seed"]
COLUMNS = [*KEYS, "mean_deg", "median_deg", "p99_deg", "val_mean_deg", "status", "seconds"]
#: Of a table whose training sets are finite, or whose networks are chosen while they train.
CHOSEN_COLUMNS = [*COLUMNS, "train_mean_deg", "chosen_step"]
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


def _median_interval(values: np.ndarray) -> tuple[float, float]:
    """An interval that holds the median with 95 %, whatever the distribution; or all values."""
    found = quantile_test(values, p=0.5).confidence_interval(0.95)
    low, high = (x if np.isfinite(x) else np.nan for x in found)
    return float(np.fmax(low, values.min())), float(np.fmin(high, values.max()))


def _t_interval(mean: float, error: float, freedom: float, level: float) -> tuple[float, float]:
    """Student's interval about a mean with that standard error; the whole line without freedom."""
    if not freedom > 0:
        return -np.inf, np.inf
    reach = float(t.ppf((1 + level) / 2, freedom)) * error if error else 0.0
    return mean - reach, mean + reach


def _between(a: np.ndarray, b: np.ndarray, level: float) -> tuple[float, float, float]:
    """Welch: the difference of two means of independent samples, and its interval."""
    mean = float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2:
        return mean, -np.inf, np.inf
    parts = np.array([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)])
    error, total = float(np.sqrt(parts.sum())), float(parts.sum())
    weight = float((parts**2 / [len(a) - 1, len(b) - 1]).sum())
    freedom = total**2 / weight if weight else len(a) + len(b) - 2
    return mean, *_t_interval(mean, error, freedom, level)


def _matched(a: np.ndarray, b: np.ndarray, level: float) -> tuple[float, float, float]:
    """The mean difference of two samples that belong together one by one, and its interval."""
    gaps = a - b
    error = float(gaps.std(ddof=1)) / len(gaps) ** 0.5 if len(gaps) > 1 else 0.0
    return float(gaps.mean()), *_t_interval(float(gaps.mean()), error, len(gaps) - 1, level)


def summary(table: pd.DataFrame, metric: str = "mean_deg") -> pd.DataFrame:
    """Median over seeds, for each configuration and budget.

    Between ``low`` and ``high`` lies the true median with at least 95 %, whatever the
    distribution; with fewer than six seeds that cannot be said, and they are the least and the
    largest value. Stopped seeds count as 180 degrees, and are counted in ``stopped``.

    Returns:
        Columns ``task, variant, head, optimizer, steps, learning_rate, median, low, high,
        seeds, stopped``.
    """
    rows = []
    for key, group in _groups(tuned(table), [*CONFIGURATION, "steps"]):
        values = group[metric].fillna(STOPPED_DEG).to_numpy()
        low, high = _median_interval(values)
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


def compared(
    table: pd.DataFrame,
    head: str,
    against: str,
    metric: str = "mean_deg",
    comparisons: int = 1,
) -> pd.DataFrame:
    """Two heads compared as independent samples of seeds.

    With that many ``comparisons`` in mind, all their intervals hold together with 95 %
    (Bonferroni); each then holds with ``1 - 0.05 / comparisons``.

    Returns:
        A row for each task, variant, optimiser and budget. Its ``difference`` is the mean of
        ``head`` minus that of ``against`` in degrees, its ``ratio`` that of their geometric
        means; each has Welch's t interval ``..._low``, ``..._high``, the ratio's taken on
        logarithms. The numbers of ``seeds`` come last.

    Raises:
        ValueError: if the table lacks one of the heads; if ``comparisons`` is not positive.
    """
    return _compare("compared", _between, table, head, against, metric, comparisons)


def paired(
    table: pd.DataFrame,
    head: str,
    against: str,
    metric: str = "mean_deg",
    comparisons: int = 1,
) -> pd.DataFrame:
    """Two heads compared seed by seed: the same batches and the same test set.

    As :func:`~rotlib.experiments.table.compared`, with Student's interval of the differences. It
    is narrower where the errors of the two heads rise and fall together from seed to seed, and no
    narrower where they do not.

    Raises:
        ValueError: as ``compared``, and if a seed was run for one of them only.
    """
    return _compare("paired", _matched, table, head, against, metric, comparisons)


def _compare(
    name: str,
    interval: Callable,
    table: pd.DataFrame,
    head: str,
    against: str,
    metric: str,
    comparisons: int,
) -> pd.DataFrame:
    if comparisons < 1:
        raise ValueError(f"{name} expects comparisons of at least 1, got {comparisons}")
    both = tuned(table).fillna({metric: STOPPED_DEG})
    for wanted in (head, against):
        if wanted not in set(both["head"]):
            raise ValueError(f"{name}: the table has no rows of {wanted!r}")
    level = 1 - 0.05 / comparisons
    rows = []
    for row, group in _groups(both, ["task", "variant", "optimizer", "steps"]):
        a, b = (
            group[group["head"] == each].set_index("seed")[metric].sort_index()
            for each in (head, against)
        )
        if a.empty or b.empty:
            continue
        if interval is _matched and set(a.index) != set(b.index):
            raise ValueError(f"{name}: {head} and {against} ran with different seeds at {row}")
        a, b = a.to_numpy(float), b.to_numpy(float)
        names = ("difference", "difference_low", "difference_high")
        row |= dict(zip(names, interval(a, b, level), strict=True))
        ratios = np.exp(interval(np.log(a), np.log(b), level)).tolist()
        row |= dict(zip(("ratio", "ratio_low", "ratio_high"), ratios, strict=True))
        rows.append(row | {"seeds": min(len(a), len(b))})
    return pd.DataFrame(rows)
