"""The table of a sweep: never half a file; rates chosen, summaries and pairs with known answers."""

import json
import math
import os
from itertools import count

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind, ttest_rel

from rotlib.experiments.table import (
    COLUMNS,
    KEYS,
    add_rows,
    best_rates,
    compared,
    paired,
    provenance,
    read_table,
    summary,
    tuned,
    write_atomically,
)

WAHBA = ("wahba", "clean", "9d-raw", "adam")


def row(mean=10.0, *, val=None, head="9d-raw", rate=1e-3, steps=100, seed=0, **others):
    """A row of the table; an error of None is that of a stopped seed."""
    return {
        "task": "wahba",
        "variant": "clean",
        "head": head,
        "optimizer": "adam",
        "learning_rate": rate,
        "steps": steps,
        "seed": seed,
        "mean_deg": mean,
        "median_deg": mean,
        "p99_deg": mean,
        "val_mean_deg": mean if val is None else val,
        "status": "ok" if mean is not None else "loss not finite at step 2",
        "seconds": 0.5,
    } | others


def rows(means, **same):
    """One row for each seed."""
    return [row(mean, seed=seed, **same) for seed, mean in enumerate(means)]


def table(*parts):
    return pd.DataFrame([line for part in parts for line in part], columns=COLUMNS)


EXAMPLE = [
    *rows([12.3456, None, 0.0001], head="9d-svd", rate=10**-2.5),
    *rows([1e-4, 179.9999], rate=0.1 + 0.2, steps=8000, variant="noisy"),
    *rows([20.0], task="points", optimizer="sgd", rate=3e-4),
]


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "t.csv"
    add_rows(path, EXAMPLE)
    expected = table(EXAMPLE).sort_values(KEYS, ignore_index=True)
    back = read_table(path)
    assert list(back.columns) == COLUMNS
    for name in ["learning_rate", "mean_deg", "val_mean_deg"]:  # to the last bit
        expected[name] = expected[name].astype(float)
        assert np.array_equal(back[name], expected[name], equal_nan=True)
    pd.testing.assert_frame_equal(back, expected, check_dtype=False)
    assert back["mean_deg"].isna().sum() == 1
    assert path.read_bytes().count(b"\r") == 0
    assert os.listdir(tmp_path) == ["t.csv"]


def test_the_file_does_not_depend_on_the_order_of_writing(tmp_path):
    a, b, c = (tmp_path / f"{name}.csv" for name in "abc")
    add_rows(a, EXAMPLE)
    for line in EXAMPLE[::-1]:
        add_rows(b, [line])
    rng = np.random.default_rng(0)
    for k in rng.permutation(len(EXAMPLE)):
        add_rows(c, [EXAMPLE[k]])
    assert a.read_bytes() == b.read_bytes() == c.read_bytes()
    add_rows(a, [])
    assert a.read_bytes() == b.read_bytes()


def test_a_row_that_is_there_already_is_replaced(tmp_path):
    path = tmp_path / "t.csv"
    add_rows(path, rows([10, 20, 30]))
    add_rows(path, [row(21, seed=1), row(40, seed=3)])
    assert read_table(path)["mean_deg"].tolist() == [10, 21, 30, 40]


def test_a_table_with_other_columns(tmp_path):
    path, columns = tmp_path / "t.csv", [*KEYS, "area"]
    add_rows(path, [row(seed=1, area=0.25)], columns)
    add_rows(path, [row(seed=0, area=0.5)], columns)
    assert read_table(path, columns)["area"].tolist() == [0.5, 0.25]
    with pytest.raises(ValueError, match=r"expects the columns .* seconds"):
        read_table(path)


def test_a_crash_while_writing_leaves_the_old_table_whole(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    add_rows(path, rows([10, 20]))
    before = path.read_bytes()
    with monkeypatch.context() as patch:

        def crash(*_):
            assert path.read_bytes() == before
            raise OSError("the power is off")

        for last_act in ("replace", "fsync"):
            patch.setattr(os, last_act, crash)
            with pytest.raises(OSError, match="the power is off"):
                add_rows(path, rows([30, 40, 50]))
            assert path.read_bytes() == before
    assert read_table(path)["mean_deg"].tolist() == [10, 20]
    add_rows(path, rows([30]))
    assert read_table(path)["mean_deg"].tolist() == [30, 20]


def test_the_new_file_is_complete_and_on_disk_before_it_takes_the_old_ones_place(
    tmp_path, monkeypatch
):
    path, acts = tmp_path / "t.txt", []
    path.write_text("old")
    sync, replace = os.fsync, os.replace

    def watched_sync(file):
        acts.append("sync")
        sync(file)

    def watched_replace(source, target):
        acts.append((open_text(source), open_text(target)))
        replace(source, target)

    def open_text(name):
        with open(name, encoding="utf-8") as file:
            return file.read()

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(os, "replace", watched_replace)
    write_atomically(path, "new\n")
    assert acts == ["sync", ("new\n", "old")]
    assert path.read_bytes() == b"new\n"
    assert os.listdir(tmp_path) == ["t.txt"]


def test_no_file_is_an_empty_table(tmp_path):
    empty = read_table(tmp_path / "none.csv")
    assert list(empty.columns) == COLUMNS
    assert empty.empty
    assert tuned(empty).empty
    assert summary(empty).empty


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "t.csv is not a table"),
        (b"task,head\nwahba,9d-raw\n", "t.csv expects the columns task, variant, head"),
        (",".join(COLUMNS[::-1]).encode(), "t.csv expects the columns"),
        (b"a,b\n1,2\n1,2,3\n", "t.csv is not a table"),
        (b"\xff\xfe\x80", "t.csv is not a table"),
    ],
)
def test_what_is_no_table_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_table(path)
    with pytest.raises(ValueError, match=message):
        add_rows(path, rows([1]))
    assert path.read_bytes() == content


def test_provenance_is_the_json_beside_the_table(tmp_path):
    (tmp_path / "t.json").write_text(json.dumps({"device": "cpu"}))
    assert provenance(tmp_path / "t.csv") == {"device": "cpu"}


def test_the_best_rate_has_the_least_mean_validation_error_at_that_budget():
    """Not the least test error, not the least median, and not that of another budget."""
    t = table(
        [row(1.0, val=v, seed=s, rate=1e-2) for s, v in enumerate([5, 5, 80])],
        [row(9.0, val=v, seed=s, rate=1e-3) for s, v in enumerate([20, 21, 22])],
        [row(9.0, val=v, seed=s, rate=1e-2, steps=500) for s, v in enumerate([1, 1, 1])],
        [row(9.0, val=v, seed=s, rate=1e-3, steps=500) for s, v in enumerate([2, 2, 2])],
    )
    assert best_rates(t, 100) == {WAHBA: 1e-3}
    assert best_rates(t, 500) == {WAHBA: 1e-2}
    assert best_rates(t, 7) == {}


def test_every_configuration_has_its_own_best_rate():
    groups = [{"task": "points"}, {"variant": "noisy"}, {"head": "9d-svd"}, {"optimizer": "sgd"}]
    parts = [rows([10], rate=1e-3), rows([20], rate=1e-2)]
    for group in groups:
        parts += [rows([20], rate=1e-3, **group), rows([10], rate=1e-2, **group)]
    best = best_rates(table(*parts), 100)
    assert len(best) == 5
    assert best.pop(WAHBA) == 1e-3
    assert set(best.values()) == {1e-2}
    assert ("wahba", "noisy", "9d-raw", "adam") in best


def test_a_rate_run_with_fewer_seeds_does_not_compete():
    t = table(rows([1, 1], rate=1e-2), rows([30, 30, 30], rate=1e-3), rows([20] * 3, rate=1e-4))
    assert best_rates(t, 100) == {WAHBA: 1e-4}


def test_a_stopped_seed_counts_as_180_degrees_when_rates_compete():
    two_of_three = rows([1, 1, None], rate=1e-2)  # a mean of 60.7
    assert best_rates(table(two_of_three, rows([60] * 3)), 100) == {WAHBA: 1e-3}
    assert best_rates(table(two_of_three, rows([61] * 3)), 100) == {WAHBA: 1e-2}
    assert best_rates(table(rows([None] * 3)), 100) == {WAHBA: 1e-3}


def test_of_equal_rates_the_smaller_wins():
    t = table(rows([7, 7], rate=1e-2), rows([7, 7], rate=1e-3), rows([7, 7], rate=3e-3))
    assert best_rates(t, 100) == {WAHBA: 1e-3}


def test_tuned_keeps_for_each_head_and_budget_the_rows_of_its_rate():
    t = table(
        rows([10, 11], rate=1e-3),
        rows([20, 21], rate=1e-2),
        rows([8, 9], rate=1e-3, steps=500),
        rows([5, 6], rate=1e-2, steps=500),
        rows([3, 4], rate=1e-2, head="6d-gs"),
        rows([3.5, 5], rate=1e-3, head="6d-gs"),
    )
    kept = tuned(t).set_index(["head", "steps", "seed"])["mean_deg"].to_dict()
    assert kept == {
        **{("9d-raw", 100, 0): 10, ("9d-raw", 100, 1): 11},
        **{("9d-raw", 500, 0): 5, ("9d-raw", 500, 1): 6},
        **{("6d-gs", 100, 0): 3, ("6d-gs", 100, 1): 4},
    }


def test_the_summary_of_known_numbers():
    t = table(
        rows([1, 2, 9, 4, 5], steps=500),
        rows([50, None, 10, None, None]),
        rows([6] * 5, head="9d-svd"),
        rows([99] * 5, head="9d-svd", rate=1e-2),
    )
    s = summary(t).set_index(["head", "steps"])
    assert len(s) == 3
    expected = {
        ("9d-raw", 500): (4, 5, 0),
        ("9d-raw", 100): (180, 5, 3),
        ("9d-svd", 100): (6, 5, 0),
    }
    for key, (median, seeds, stopped) in expected.items():
        assert tuple(s.loc[key, ["median", "seeds", "stopped"]]) == (median, seeds, stopped)
        assert s.loc[key, "low"] <= median <= s.loc[key, "high"]
    assert s.loc[("9d-svd", 100), "learning_rate"] == 1e-3
    assert tuple(s.loc[("9d-svd", 100), ["low", "high"]]) == (6, 6)
    assert tuple(s.loc[("9d-raw", 500), ["low", "high"]]) == (1, 9)


def test_one_seed_has_no_spread():
    (line,) = summary(table(rows([7]))).to_dict("records")
    assert line["low"] == line["median"] == line["high"] == 7


def test_the_summary_is_of_the_metric_that_is_asked_for():
    t = table([row(10.0, seed=seed, p99_deg=100.0 + seed) for seed in range(3)])
    assert summary(t)["median"].tolist() == [10]
    assert summary(t, "p99_deg")["median"].tolist() == [101]


def test_pairs_of_known_numbers():
    """Seed by seed twice as large: the ratio is certain, the difference is not."""
    raw = [1.0, 4.0, 2.0, 5.0]
    t = table(rows(raw), rows([2 * x for x in raw], head="9d-svd")[::-1])
    (pair,) = paired(t, "9d-svd", "9d-raw").to_dict("records")
    assert pair["seeds"] == 4
    for name in ("ratio", "ratio_low", "ratio_high"):
        assert pair[name] == pytest.approx(2)
    assert pair["difference"] == pytest.approx(3)
    reach = 3.1824463053 * np.std(raw, ddof=1) / 2  # Student, three degrees of freedom
    assert pair["difference_low"] == pytest.approx(3 - reach)
    assert pair["difference_high"] == pytest.approx(3 + reach)
    (other,) = paired(t, "9d-raw", "9d-svd").to_dict("records")
    assert other["ratio"] == pytest.approx(1 / 2)
    assert other["difference"] == pytest.approx(-3)


def test_the_difference_of_shifted_errors_is_certain_and_their_ratio_is_a_geometric_mean():
    t = table(rows([1.0, 10.0]), rows([2.0, 11.0], head="6d-gs"))
    (pair,) = paired(t, "6d-gs", "9d-raw").to_dict("records")
    assert pair["difference_low"] == pair["difference"] == pair["difference_high"] == 1
    assert pair["ratio"] == pytest.approx(math.sqrt(2 * 1.1))
    reach = 12.706205 * math.log(2 / 1.1) / 2  # one degree of freedom says next to nothing
    assert pair["ratio_high"] == pytest.approx(pair["ratio"] * math.exp(reach))


def test_a_stopped_seed_counts_as_180_degrees_in_a_pair():
    (pair,) = paired(
        table(rows([90, 90]), rows([None, 90], head="6d-gs")), "6d-gs", "9d-raw"
    ).to_dict("records")
    assert pair["difference"] == 45
    assert pair["ratio"] == pytest.approx(math.sqrt(2))


def test_there_is_a_pair_for_each_budget_that_both_heads_ran():
    t = table(
        *(rows([4, 4], steps=s, head=h) for s in (100, 500) for h in ("9d-raw", "6d-gs")),
        rows([4, 4], steps=2000),
        rows([8, 8], head="6d-gs", task="points"),
        rows([4, 4], head="9d-raw", task="points"),
    )
    pairs = paired(t, "6d-gs", "9d-raw").set_index(["task", "steps"])["ratio"]
    assert pairs.to_dict() == pytest.approx(
        {("wahba", 100): 1, ("wahba", 500): 1, ("points", 100): 2}
    )


def test_heads_that_cannot_be_paired_are_refused():
    t = table(rows([1, 2, 3]), rows([1, 2], head="6d-gs"))
    with pytest.raises(ValueError, match="6d-gs and 9d-raw ran with different seeds"):
        paired(t, "6d-gs", "9d-raw")
    with pytest.raises(ValueError, match="no rows of 'euler'"):
        paired(t, "9d-raw", "euler")


def normal_pairs(replicates, seeds, mean, spread):
    """Log-ratios that are normal; each replicate is a budget of its own."""
    rng, steps = np.random.default_rng(1), count(1)
    for _ in range(replicates):
        budget = next(steps)
        raw = rng.uniform(5, 50, seeds)
        ratio = np.exp(rng.normal(mean, spread, seeds))
        yield rows(raw, steps=budget)
        yield rows(raw * ratio, head="6d-gs", steps=budget)


@pytest.mark.parametrize("seeds", [4, 16])
def test_the_interval_of_the_ratio_holds_the_truth_as_often_as_it_says(seeds):
    pairs = paired(table(*normal_pairs(200, seeds, 0.2, 0.3)), "6d-gs", "9d-raw")
    held = (pairs["ratio_low"] <= math.exp(0.2)) & (math.exp(0.2) <= pairs["ratio_high"])
    assert 0.92 <= held.mean() <= 0.98


def test_heads_are_compared_as_independent_samples_by_welch():
    """Against SciPy's test; seeds need not agree, and their order tells nothing."""
    a, b = [1.0, 4.0, 2.0, 5.0, 3.0], [9.0, 7.5, 8.0]
    t = table(rows(a), rows(b, head="9d-svd"))
    (line,) = compared(t, "9d-svd", "9d-raw").to_dict("records")
    expected = ttest_ind(b, a, equal_var=False).confidence_interval()
    assert line["difference"] == pytest.approx(8.166667 - 3)
    assert (line["difference_low"], line["difference_high"]) == pytest.approx(tuple(expected))
    expected = ttest_ind(np.log(b), np.log(a), equal_var=False).confidence_interval()
    assert (line["ratio_low"], line["ratio_high"]) == pytest.approx(tuple(np.exp(expected)))
    assert line["seeds"] == 3
    shuffled = table(rows(a[::-1]), rows(b, head="9d-svd"))
    (same,) = compared(shuffled, "9d-svd", "9d-raw").to_dict("records")
    assert same == pytest.approx(line, nan_ok=True)


def test_the_intervals_of_many_comparisons_are_wider_so_that_they_hold_together():
    t = table(rows([1.0, 4.0, 2.0, 5.0]), rows([2.0, 3.0, 2.5, 6.0], head="9d-svd"))
    for function in (compared, paired):
        one, ten = (function(t, "9d-svd", "9d-raw", comparisons=n).iloc[0] for n in (1, 10))
        assert one["ratio"] == ten["ratio"]
        assert ten["ratio_low"] < one["ratio_low"] < one["ratio_high"] < ten["ratio_high"]
        with pytest.raises(ValueError, match="comparisons of at least 1, got 0"):
            function(t, "9d-svd", "9d-raw", comparisons=0)
    expected = ttest_rel([2, 3, 2.5, 6], [1, 4, 2, 5]).confidence_interval(0.995)
    assert ten["difference_low"] == pytest.approx(expected.low)


def test_one_seed_of_each_says_nothing_of_the_spread():
    t = table(rows([4.0]), rows([2.0], head="9d-svd"))
    for function in (compared, paired):
        (line,) = function(t, "9d-svd", "9d-raw").to_dict("records")
        assert line["ratio"] == pytest.approx(0.5)
        assert (line["ratio_low"], line["ratio_high"]) == (0, math.inf)


def test_the_interval_of_the_median_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    t = table(*(rows(rng.normal(50, 5, 8), steps=steps) for steps in range(1, 51)))
    s = summary(t)
    assert ((s["low"] <= 50) & (s["high"] >= 50)).mean() >= 0.94
    assert (s["high"] - s["low"]).mean() < 3 * 5  # of eight, the whole range
