"""The sweep: every row once, the same numbers however it is run, and after whatever kills it."""

import json
import os
import platform
import shlex
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import product

import distributed
import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from joblib.externals.loky.process_executor import BrokenProcessPool

from rotlib.experiments import entry, sweep
from rotlib.experiments.confidence import CONFIDENCE_COLUMNS
from rotlib.experiments.entry import next_rate
from rotlib.experiments.flags import entries_of, read_flags
from rotlib.experiments.stamp import commit_of_the_code
from rotlib.experiments.table import CHOSEN_COLUMNS, COLUMNS, KEYS, provenance, read_table
from rotlib.experiments.training import train

pytestmark = pytest.mark.filterwarnings("ignore:A worker stopped while some jobs:UserWarning")
GRID = "--task wahba --heads 9d-raw,6d-gs --optimizers adam,sgd --rates 1e-3,1e-2 --steps 3,6"
#: Units of half a second or more: there is time to be killed.
LONG = "--task wahba --heads 9d-raw,9d-svd,quaternion --rates 1e-3,1e-2 --steps 400 --seeds 2"


def run(out, arguments, *more):
    """The command line, in this process unless ``more`` asks for workers."""
    command = shlex.split(f"{arguments} --out {out}") + list(more or ("--workers", "1"))
    return sweep.main(command)


def numbers(path):
    """The file without its last column: what may not depend on how it was made."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].endswith(",seconds")
    return [line.rpartition(",")[0] for line in lines]


def start(out, arguments, *more):
    """The command line in a process, and a process group, of its own."""
    command = [sys.executable, "-P", "-m", "rotlib.experiments.sweep"]
    return subprocess.Popen(
        [*command, *shlex.split(arguments), "--out", str(out), *more],
        cwd=out.parent,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


def wait_for_rows(process, out, rows):
    """Wait until some rows are on disk; fails if the sweep ends first, or takes minutes."""
    deadline = time.monotonic() + 200
    while process.poll() is None and time.monotonic() < deadline:
        if len(read_table(out)) >= rows:
            return
        time.sleep(0.02)
    pytest.fail(f"no {rows} rows while running: {process.communicate(timeout=1)[1]}")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The table of the long sweep by one process that nobody kills."""
    out = tmp_path_factory.mktemp("undisturbed") / "t.csv"
    assert run(out, LONG) == 0
    assert len(numbers(out)) == 1 + 12
    return numbers(out)


@pytest.fixture
def asked(monkeypatch):
    """Training is replaced by a formula, and the units asked for are listed."""
    units = []

    def formula(unit, where):
        units.append(unit)
        best = {"9d-raw": 1e-2, "6d-gs": 1e-3}[unit.head]
        error = 10 + abs(np.log(unit.learning_rate / best)) / unit.steps
        row = dict(zip(KEYS[:6], unit[:6], strict=True)) | dict.fromkeys(COLUMNS[7:], error)
        return [row | {"seed": seed, "status": "ok"} for seed in unit.seeds]

    monkeypatch.setattr(sweep, "run_unit", formula)
    return units


@pytest.fixture
def never(monkeypatch):
    """Fails if any unit is run."""
    monkeypatch.setattr(sweep, "run_unit", lambda *_: pytest.fail("a unit was run"))


def keys(path):
    return list(read_table(path)[KEYS].itertuples(index=False, name=None))


def test_one_row_for_each_task_variant_head_optimizer_rate_budget_and_seed(tmp_path):
    out = tmp_path / "deep" / "t.csv"
    assert run(out, f"{GRID} --variant clean,noisy --seeds 2") == 0
    t = read_table(out)
    assert list(t.columns) == [
        *("task", "variant", "head", "optimizer", "learning_rate", "steps", "seed"),
        *("mean_deg", "median_deg", "p99_deg", "val_mean_deg", "status", "seconds"),
    ]
    grid = product(
        *(["wahba"], ["clean", "noisy"], ["6d-gs", "9d-raw"], ["adam", "sgd"]),
        *([0.001, 0.01], [3, 6], [0, 1]),
    )
    assert keys(out) == list(grid)
    assert set(t["status"]) == {"ok"}
    assert (t["median_deg"] < t["p99_deg"]).all() and (t["p99_deg"] <= 180).all()
    assert (t["mean_deg"] != t["val_mean_deg"]).all()
    assert t["mean_deg"].nunique() == len(t)
    assert (t["seconds"] >= 0).all()


def test_a_row_holds_what_training_gives(tmp_path):
    out = tmp_path / "t.csv"
    run(out, "--task wahba --heads 9d-svd --optimizers sgd --rates 1e-2 --steps 20 --seeds 2")
    trained = train("wahba", "9d-svd", 2, steps=20, optimizer="sgd", learning_rate=1e-2)
    test, validation = trained.errors("test"), trained.errors("validation")
    for seed, row in enumerate(read_table(out).to_dict("records")):
        assert row["mean_deg"] == pytest.approx(test[seed].mean().item(), abs=1e-3)
        assert row["median_deg"] == pytest.approx(test[seed].median().item(), abs=1e-3)
        assert row["p99_deg"] == pytest.approx(np.percentile(test[seed], 99), abs=1e-3)
        assert row["val_mean_deg"] == pytest.approx(validation[seed].mean().item(), abs=1e-3)


def test_without_tuning_every_rate_is_run_at_every_budget_with_every_seed(tmp_path, asked):
    assert run(tmp_path / "t.csv", f"{GRID} --seeds 3") == 0
    assert len(asked) == len(set(asked)) == 2 * 2 * 2 * 2
    assert {unit.seeds for unit in asked} == {(0, 1, 2)}


def test_the_rate_is_tuned_with_few_seeds_and_only_the_chosen_one_goes_on(tmp_path, asked):
    out = tmp_path / "t.csv"
    tuning = f"{GRID} --optimizers adam --steps 10,20 --seeds 3 --tune-steps 10 --tune-seeds 1"
    assert run(out, tuning) == 0
    tune = {(head, rate, 10, (0,)) for head in ("9d-raw", "6d-gs") for rate in (1e-3, 1e-2)}
    chosen = {("9d-raw", 1e-2), ("6d-gs", 1e-3)}
    assert {unit[2:3] + unit[4:] for unit in asked[:4]} == tune
    assert {unit[2:3] + unit[4:] for unit in asked[4:]} == {
        *((*best, 10, (1, 2)) for best in chosen),
        *((*best, 20, (0, 1, 2)) for best in chosen),
    }
    assert len(asked) == 8
    assert len(keys(out)) == 4 + 2 * 2 + 2 * 3
    written = out.read_bytes()
    asked.clear()
    assert run(out, tuning) == 0
    assert asked == [] and out.read_bytes() == written


def test_the_grid_grows_until_the_best_rate_lies_inside_it(tmp_path, asked):
    out = tmp_path / "t.csv"
    tuning = f"{GRID} --optimizers adam --rates 1e-4,3e-4 --steps 20 --tune-steps 10 --grow-rates"
    assert run(out, f"{tuning} --seeds 3 --tune-seeds 1") == 0
    tried = {
        head: sorted(u.learning_rate for u in asked if u.head == head and u.steps == 10)
        for head in ("9d-raw", "6d-gs")
    }
    assert tried["9d-raw"] == [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]  # its best is 1e-2
    assert tried["6d-gs"] == [1e-4, 3e-4, 1e-3, 3e-3]  # and here 1e-3
    final = {u.head: u.learning_rate for u in asked if u.steps == 20}
    assert final == {"9d-raw": 1e-2, "6d-gs": 1e-3}
    asked.clear()
    assert run(out, f"{tuning} --seeds 3 --tune-seeds 1") == 0 and asked == []
    flags = read_flags([*shlex.split(f"{tuning} --seeds 3 --tune-seeds 1 --out"), str(out)])
    (whole,) = entries_of(flags)  # asks for all that was run, and for nothing else
    wanted = {(*u[:6], s) for u in whole.tuning_units() + whole.final_units(whole.done())
              for s in u.seeds}  # fmt: skip
    assert wanted == set(keys(out))


def test_a_grid_may_grow_downwards_and_never_without_end(tmp_path, asked, monkeypatch):
    out = tmp_path / "t.csv"
    how = "--task wahba --heads 6d-gs --seeds 1 --steps 20 --tune-steps 10 --grow-rates"
    assert run(out, f"{how} --rates 3e-3,1e-2") == 0
    assert sorted(u.learning_rate for u in asked if u.steps == 10) == [3e-4, 1e-3, 3e-3, 1e-2]
    monkeypatch.setattr(entry, "LEAST", 1e-3)
    asked.clear()
    assert run(tmp_path / "u.csv", f"{how} --rates 3e-3,1e-2") == 0
    assert sorted(u.learning_rate for u in asked if u.steps == 10) == [1e-3, 3e-3, 1e-2]


@pytest.mark.parametrize(
    ("rate", "lower", "higher"),
    [(1e-3, 3e-4, 3e-3), (3e-3, 1e-3, 1e-2), (2e-3, 1e-3, 3e-3), (0.3, 0.1, 1.0), (4.0, 3.0, 10)],
)
def test_rates_are_on_one_ladder(rate, lower, higher):
    assert (next_rate(rate, False), next_rate(rate, True)) == (lower, higher)


def test_a_table_of_finite_sets_says_how_well_they_were_learned_and_when(tmp_path):
    out = tmp_path / "t.csv"
    how = "--task wahba --heads 9d-raw --rates 3e-3 --seeds 2 --steps 60 --items 64 --checks 3"
    assert run(out, how) == 0
    found = read_table(out, CHOSEN_COLUMNS)
    run_ = train("wahba", "9d-raw", 2, steps=60, learning_rate=3e-3, items=64, checks=3)
    assert found["chosen_step"].tolist() == run_.chosen
    expected = run_.errors("train").double().mean(1)
    assert found["train_mean_deg"].tolist() == pytest.approx(expected.tolist(), abs=1e-3)
    assert {"items": 64, "checks": 3}.items() <= provenance(out).items()
    with pytest.raises(ValueError, match="expects the columns"):
        read_table(out)


def test_a_table_keeps_to_one_protocol(tmp_path, capsys):
    out = tmp_path / "t.csv"
    how = "--task wahba --heads 9d-raw --rates 3e-3 --seeds 1 --steps 2"
    assert run(out, f"{how} --batch 8") == 0
    assert run(out, f"{how} --batch 8") == 0
    for other, message in (("", "batch_size 8, not None"), ("--batch 4", "batch_size 8, not 4")):
        assert run(out, f"{how} {other}") == 2
        assert message in capsys.readouterr().err


def test_tuning_uses_all_seeds_unless_told_otherwise(tmp_path, asked):
    assert run(tmp_path / "t.csv", f"{GRID} --steps 20 --seeds 3 --tune-steps 10") == 0
    assert {unit.seeds for unit in asked} == {(0, 1, 2)}
    assert Counter(unit.steps for unit in asked) == {10: 8, 20: 4}


def test_a_rate_added_later_can_win(tmp_path, asked):
    """By the seeds that all rates were tuned with, though the earlier winner has more of them."""
    out = tmp_path / "t.csv"
    tuning = f"{GRID} --heads 9d-raw --optimizers adam --steps 10,20 --seeds 4 --tune-steps 10"
    assert run(out, f"{tuning} --tune-seeds 2 --rates 1e-3") == 0
    asked.clear()
    assert run(out, f"{tuning} --tune-seeds 2 --rates 1e-3,1e-2") == 0
    assert {unit[4:] for unit in asked} == {
        *((1e-2, 10, (0, 1)), (1e-2, 10, (2, 3)), (1e-2, 20, (0, 1, 2, 3))),
    }
    asked.clear()
    assert run(out, f"{tuning} --tune-seeds 3 --rates 1e-3,1e-2,1e-1") == 0  # and this one loses
    assert [unit[4:] for unit in asked] == [(1e-1, 10, (0, 1, 2))]


def test_started_again_with_more_of_anything_it_runs_what_is_missing(tmp_path, asked):
    out = tmp_path / "t.csv"
    run(out, f"{GRID} --steps 3 --seeds 2")
    asked.clear()
    run(out, f"{GRID} --steps 3 --seeds 5")
    assert {unit.seeds for unit in asked} == {(2, 3, 4)}
    asked.clear()
    run(out, f"{GRID} --steps 3 --seeds 5 --rates 1e-3,1e-2,3e-3")
    assert {(unit.learning_rate, unit.seeds) for unit in asked} == {(3e-3, (0, 1, 2, 3, 4))}
    asked.clear()
    run(out, f"{GRID} --steps 3 --seeds 2")
    assert asked == []
    assert len(keys(out)) == 2 * 2 * 3 * 5


def test_seeds_added_later_are_those_of_one_go(tmp_path):
    few, more, once = (tmp_path / f"{name}.csv" for name in ("few", "more", "once"))
    arguments = "--task wahba --heads 9d-svd --rates 1e-2 --steps 20"
    run(few, f"{arguments} --seeds 1")
    more.write_bytes(few.read_bytes())
    run(more, f"{arguments} --seeds 3")
    run(once, f"{arguments} --seeds 3")
    assert numbers(more) == numbers(once)
    assert numbers(more)[:2] == numbers(few)


def test_names_given_twice_are_run_once(tmp_path):
    out = tmp_path / "t.csv"
    run(out, "--task wahba --heads 9d-raw,9d-raw --rates 1e-3,0.001 --steps 2,2 --seeds 1")
    assert len(read_table(out)) == 1


def test_a_configuration_that_diverges_has_its_rows_and_harms_no_other(tmp_path):
    out, alone = tmp_path / "t.csv", tmp_path / "alone.csv"
    arguments = "--task wahba --heads 9d-raw --optimizers sgd --steps 20 --seeds 2"
    assert run(out, f"{arguments} --rates 1e6,1e-2") == 0
    assert run(alone, f"{arguments} --rates 1e-2") == 0
    assert numbers(out)[:3] == numbers(alone)
    for line in numbers(out)[3:]:
        assert line.endswith(",,,,,loss not finite at step 2")
    t = read_table(out)
    assert t["mean_deg"].isna().tolist() == [False, False, True, True]
    assert run(out, f"{arguments} --rates 1e6,1e-2") == 0  # and it is not tried again
    pd.testing.assert_frame_equal(read_table(out), t)


def test_the_json_says_how_the_table_was_made(tmp_path, asked):
    out = tmp_path / "t of x.csv"
    first = [*shlex.split(f"{GRID} --seeds 2 --workers 1 --out"), str(out)]
    second = [*shlex.split(f"{GRID} --seeds 4 --workers 1 --out"), str(out)]
    before = datetime.now(UTC).date().isoformat()
    assert sweep.main(first) == 0
    made = provenance(out)
    assert made.keys() == {"device", "clouds", "runs"}
    assert (made["device"], made["clouds"]) == ("cpu", None)
    (entry,) = made["runs"]
    assert shlex.split(entry["command"]) == ["python", "-m", "rotlib.experiments.sweep", *first]
    assert before <= entry["date"] <= datetime.now(UTC).date().isoformat()
    assert 0 <= entry["minutes"] < 1
    assert (entry["workers"], entry["seeds"]) == (1, 2)
    assert entry["entry"] is None  # of no plan
    assert entry["commit"] == commit_of_the_code()
    assert entry["rotlib"] == version("rotlib")
    assert entry["torch"] == torch.__version__
    assert entry["python"] == platform.python_version()
    assert sweep.main(second) == 0
    assert [run["seeds"] for run in provenance(out)["runs"]] == [2, 4]
    assert provenance(out)["runs"][0] == entry
    out.unlink()
    assert sweep.main(second) == 0
    assert [run["seeds"] for run in provenance(out)["runs"]] == [2, 4]


def test_a_table_that_is_being_written_is_left_alone(tmp_path, monkeypatch, capsys):
    """The second sweep comes while the first one trains."""
    out, statuses = tmp_path / "t.csv", []
    arguments = "--task wahba --heads 9d-raw --rates 1e-3 --steps 2 --seeds 1"

    def train_while_another_comes(*args, **options):
        statuses.append(run(out, arguments) if not statuses else 0)
        return train(*args, **options)

    monkeypatch.setattr(sweep, "train", train_while_another_comes)
    assert run(out, arguments) == 0
    assert statuses == [2]
    assert f"sweep: another sweep is writing {out}" in capsys.readouterr().err
    assert len(read_table(out)) == 1


def test_clouds_of_a_folder(tmp_path):
    folder, out, toy = tmp_path / "scans", tmp_path / "t.csv", tmp_path / "toy.csv"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in "abc":
        np.save(folder / f"{name}.npy", rng.normal(size=(200, 3)) * [3, 2, 1])
    arguments = "--task points --heads 9d-raw --rates 1e-3 --steps 2 --seeds 1"
    assert run(out, f"{arguments} --clouds {folder}") == 0
    assert run(toy, arguments) == 0
    assert provenance(out)["clouds"] == "scans"
    assert keys(out) == keys(toy)
    assert read_table(out)["mean_deg"][0] != read_table(toy)["mean_deg"][0]
    assert run(out, f"{arguments} --clouds {folder} --seeds 2") == 0
    assert run(out, f"{arguments} --seeds 3") == 2  # toy aeroplanes in the same table


def test_confidences_are_of_heads_that_output_a_matrix(tmp_path):
    out, sure = tmp_path / "t.csv", tmp_path / "confidence.csv"
    assert run(out, f"{GRID} --optimizers adam --seeds 2 --confidence {sure}") == 0
    known = read_table(sure, [*KEYS, *CONFIDENCE_COLUMNS])
    t = read_table(out)
    raw = t[t["head"] == "9d-raw"].reset_index(drop=True)
    pd.testing.assert_frame_equal(known[KEYS], raw[KEYS])
    assert known["risk_100"].tolist() == pytest.approx(raw["mean_deg"].tolist(), abs=1e-3)


def test_confidences_asked_for_later_are_run_then(tmp_path, monkeypatch):
    """Of heads that have them; and of what a kill between the two tables left undone."""
    out, sure, once = (tmp_path / f"{name}.csv" for name in ("t", "sure", "once"))
    arguments, units = f"{GRID} --optimizers adam --rates 1e-3 --seeds 2", []
    measured = sweep.run_unit
    monkeypatch.setattr(sweep, "run_unit", lambda *a: units.append(a[0]) or measured(*a))
    assert run(out, arguments) == 0
    before = numbers(out)
    units.clear()
    assert run(out, f"{arguments} --confidence {sure}") == 0
    assert numbers(out) == before
    assert Counter(unit.head for unit in units) == {"9d-raw": 2}
    assert run(tmp_path / "other.csv", f"{arguments} --confidence {once}") == 0
    assert sure.read_bytes() == once.read_bytes()
    units.clear()
    assert run(out, f"{arguments} --confidence {sure}") == 0
    assert units == []
    written = sure.read_text().splitlines(keepends=True)
    sure.write_text("".join(written[:-1]))
    assert run(out, f"{arguments} --confidence {sure}") == 0
    assert [unit.seeds for unit in units] == [(1,)]
    assert sure.read_text() == "".join(written)
    assert numbers(out) == before


def test_the_json_is_there_before_its_table(tmp_path, monkeypatch, asked):
    """A unit that is in the table is not done again, so all else must be on disk."""
    out, add_rows = tmp_path / "t.csv", sweep.add_rows

    def watched(path, *rest):
        assert len(provenance(path)["runs"]) == 1
        add_rows(path, *rest)

    monkeypatch.setattr(sweep, "add_rows", watched)
    assert run(out, GRID) == 0
    assert out.exists()


class Dying:
    """Stands for joblib's pool: workers that die after so many results, again and again."""

    results = 0

    def __init__(self, workers, return_as):
        assert (workers, return_as) == (2, "generator_unordered")

    def __call__(self, jobs):
        for function, arguments, _ in jobs[: self.results]:
            yield function(*arguments)
        raise BrokenProcessPool


def test_workers_that_die_three_times_in_a_row_end_the_sweep(tmp_path, monkeypatch, capsys, asked):
    monkeypatch.setattr(sweep.joblib, "Parallel", Dying)
    assert run(tmp_path / "t.csv", GRID, "--workers", "2") == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "sweep: workers died three times with nothing finished in between; too little memory?"
    )
    monkeypatch.setattr(Dying, "results", 1)
    assert run(tmp_path / "t.csv", GRID, "--workers", "2") == 0  # each death after a result
    assert len(read_table(tmp_path / "t.csv")) == 16 * 8


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--heads 9d-raw,8d", "unknown head '8d'; known are euler"),
        ("--task wahba,spheres", "unknown task 'spheres'; known are wahba"),
        ("--variant clean,dirty", "unknown variant 'dirty'; known are clean"),
        ("--optimizers adam,lion", "unknown optimizer lion"),
        ("--task wahba,kinematics --heads 9d-raw,6d-raw", "3x3 matrices, not two columns"),
        ("--task kinematics --variant clean,ambiguous", "kinematics has no ambiguous variant"),
        ("--rates 1e-3,0", "sweep: rates expects positive numbers, got 0.0"),
        ("--rates=-1e-3", "sweep: rates expects positive numbers, got -0.001"),
        ("--rates 1e-3,nan", "sweep: rates expects positive numbers, got nan"),
        ("--rates inf", "sweep: rates expects positive numbers, got inf"),
        ("--rates ,", "sweep: rates names nothing for adam"),
        ("--heads ,", "sweep: heads names nothing"),
        ("--steps 5,0", "sweep: steps expects at least 1, got 0"),
        ("--seeds 0", "sweep: seeds expects at least 1, got 0"),
        ("--workers 0", "sweep: workers expects at least 1, got 0"),
        ("--tune-steps 0", "sweep: tune-steps expects at least 1, got 0"),
        ("--tune-steps 5 --tune-seeds 3", "sweep: tune-seeds expects 1 to 2, got 3"),
        ("--task points --clouds missing", "clouds: missing is not a folder"),
        ("--clouds .", "clouds are for the points task, not for wahba"),
        ("--confidence sure", "--out and --confidence expect names in .csv, got sure"),
        ("--confidence t.csv", "--out and --confidence expect two files, got one"),
        ("--confidence deep/../t.csv", "--out and --confidence expect two files, got one"),
        ("--confidence bad.csv", "bad.csv expects the columns task, variant, head"),
        ("--dask nowhere", "missing port number in address 'nowhere'"),
    ],
)
def test_a_mistake_is_named_before_anything_is_run(
    tmp_path, monkeypatch, capsys, never, more, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    assert sweep.main(shlex.split(f"{GRID} --seeds 2 --workers 1 --out t.csv {more}")) == 2
    printed = capsys.readouterr().err
    assert printed.splitlines()[-1].startswith("sweep: ") and message in printed
    assert not {"t.csv", "t.json"} & set(os.listdir())


@pytest.mark.parametrize("more", ["--rates fast", "--steps 1.5", "--device tpu", "--seed 3 --task"])
def test_what_cannot_be_parsed_is_refused_with_the_usage(tmp_path, capsys, never, more):
    with pytest.raises(SystemExit) as status:
        run(tmp_path / "t.csv", f"{GRID} {more}")
    assert status.value.code == 2
    assert "usage: python -m rotlib.experiments.sweep" in capsys.readouterr().err


def test_only_a_csv_is_written_to(tmp_path, capsys, never):
    assert run(tmp_path / "t.txt", GRID) == 2
    assert "--out and --confidence expect names in .csv, got" in capsys.readouterr().err
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    assert run(tmp_path / "t.csv", GRID) == 2
    assert "expects the columns task, variant, head" in capsys.readouterr().err
    assert (tmp_path / "t.csv").read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize(
    ("made_with", "message"),
    [
        ({"device": "cuda", "clouds": None}, "made with device 'cuda', not 'cpu'"),
        ({"device": "cpu", "clouds": "scans"}, "made with clouds 'scans', not None"),
    ],
)
def test_a_table_made_otherwise_is_not_added_to(tmp_path, capsys, never, made_with, message):
    (tmp_path / "t.json").write_text(json.dumps(made_with | {"runs": []}))
    assert run(tmp_path / "t.csv", GRID) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "t.csv").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is such a device")
def test_a_device_that_is_not_there_is_named(tmp_path, capsys, never):
    assert run(tmp_path / "t.csv", f"{GRID} --device cuda") == 2
    assert "no CUDA device was found" in capsys.readouterr().err


def test_a_cluster_that_is_not_there_is_named(tmp_path, monkeypatch, capsys, never):
    patient = distributed.Client

    def impatient(address, timeout, **others):
        return patient(address, timeout="0.3s", **others)

    monkeypatch.setattr(distributed, "Client", impatient)
    assert run(tmp_path / "t.csv", GRID, "--dask", "tcp://127.0.0.1:1") == 2
    printed = capsys.readouterr().err.splitlines()[-1]
    assert printed.startswith("sweep: ") and "tcp://127.0.0.1:1" in printed
    assert not (tmp_path / "t.csv").exists()


def test_interrupted_it_goes_on_where_it_was_and_ends_with_the_same_table(
    tmp_path, monkeypatch, asked
):
    """What was written by then is not done again."""
    once, formula = tmp_path / "once.csv", sweep.run_unit
    assert run(once, GRID) == 0
    units = list(asked)

    def interrupt_after(finished):
        left = iter(range(finished))

        def run_unit(unit, where):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return formula(unit, where)

        return run_unit

    for finished in (0, 1, len(units) - 1):
        out = tmp_path / f"{finished}.csv"
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(sweep, "run_unit", interrupt_after(finished))
            run(out, GRID)
        asked.clear()
        assert run(out, GRID) == 0
        assert asked == units[finished:]
        assert numbers(out) == numbers(once)


@pytest.mark.exhaustive
def test_killed_outright_it_goes_on_where_it_was_and_ends_with_the_same_table(
    tmp_path, capsys, undisturbed
):
    """Its whole process group is killed; meanwhile nobody else may write the same file."""
    out = tmp_path / "t.csv"
    process = start(out, LONG, "--workers", "2")
    try:
        wait_for_rows(process, out, 2)
        assert run(out, LONG) == 2
        assert f"sweep: another sweep is writing {out}" in capsys.readouterr().err
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    killed = read_table(out)
    assert 2 <= len(killed) < 12
    killed["seconds"] = 1000.0 + killed.index  # a mark that nothing but this row carries
    killed.to_csv(out, index=False)
    assert run(out, LONG) == 0
    assert numbers(out) == undisturbed
    seconds = read_table(out)["seconds"]
    assert seconds[seconds >= 1000].tolist() == killed["seconds"].tolist()
    assert len(provenance(out)["runs"]) == 2


@pytest.mark.exhaustive
def test_a_killed_worker_is_replaced_and_the_table_is_the_same(tmp_path, undisturbed):
    out = tmp_path / "t.csv"
    process = start(out, LONG, "--workers", "2")
    try:
        wait_for_rows(process, out, 2)
        workers = [
            child
            for child in psutil.Process(process.pid).children()
            if "--process-name" in child.cmdline()
        ]
        assert len(workers) == 2
        workers[0].kill()
        printed = process.communicate(timeout=200)[1]
        assert process.returncode == 0, printed
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert numbers(out) == undisturbed


def test_the_command_names_a_mistake_without_a_traceback(tmp_path):
    process = start(tmp_path / "t.csv", GRID, "--heads", "8d")
    printed = process.communicate(timeout=200)[1]
    assert process.returncode == 2
    assert printed.startswith("sweep: unknown head '8d'")
    assert "Traceback" not in printed


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes on this machine; their nannies start another for one that dies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        local = distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs="CRITICAL",
        )
        yield local
        local.close()


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_cluster_gives_the_same_table(tmp_path, cluster, undisturbed):
    """By the command line, where what is sent to the workers is defined in ``__main__``."""
    out = tmp_path / "t.csv"
    process = start(out, LONG, "--dask", cluster.scheduler_address)
    printed = process.communicate(timeout=200)[1]
    assert process.returncode == 0, printed
    assert numbers(out) == undisturbed
    assert provenance(out)["runs"][0]["workers"] == "a Dask cluster"


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_killed_worker_of_a_cluster_loses_nothing(tmp_path, cluster, undisturbed):
    out = tmp_path / "t.csv"
    process = start(out, LONG, "--dask", cluster.scheduler_address)
    try:
        wait_for_rows(process, out, 2)
        victim = psutil.Process(cluster.workers[0].process.pid)
        victim.kill()
        printed = process.communicate(timeout=200)[1]
        assert process.returncode == 0, printed
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert not victim.is_running()
    assert numbers(out) == undisturbed


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_names_given_twice_are_one_row_on_a_cluster_too(tmp_path, cluster):
    out = tmp_path / "t.csv"
    arguments = "--task wahba --heads 9d-raw,9d-raw --rates 1e-3 --steps 2 --seeds 1"
    assert run(out, arguments, "--dask", cluster.scheduler_address) == 0
    assert len(read_table(out)) == 1
