"""What the tables of the long experiments say, in the numbers that the claims are about."""

from functools import cache

import pandas as pd

from claims import ROOT
from rotlib.experiments.table import paired, read_table

RESULTS = ROOT / "results"


@cache
def clean(name: str) -> pd.DataFrame:
    """The rows under Adam, without noise or ambiguity, of the table of a task."""
    table = read_table(RESULTS / f"{name}.csv")
    return table.loc[(table["variant"] == "clean") & (table["optimizer"] == "adam")]


@cache
def ratios(task: str, head: str, against: str) -> pd.DataFrame:
    """Paired error ratios by budget: ``ratio``, ``ratio_low``, ``ratio_high``.

    SVD taken apart is in a table of its own.
    """
    apart = clean("ablation")
    rows = paired(pd.concat([clean(task), apart.loc[apart["task"] == task]]), head, against)
    return rows.set_index("steps").sort_index()
