"""Plans: what they say is what is run, once; a mistake in one is named before anything is."""

import json
import shlex

import numpy as np
import pytest
import torch

from rotlib.experiments import entry, flags, sweep
from rotlib.experiments.plan import read_plan
from rotlib.experiments.protocol import Protocol
from rotlib.experiments.table import COLUMNS, KEYS, provenance, read_table

PLAN = """
[defaults]
seeds = 4
tune-seeds = 2
[rates]
adam = [1e-3, 1e-2]
sgd = [1e-1]
[heads]
pair = ["9d-raw", "6d-gs"]
more = ["9d-svd", "pair"]
[run.short]
table = "a"
task = ["wahba"]
heads = ["pair"]
tune-steps = 5
steps = [5]
[run.long]
table = "a"
task = ["wahba", "points"]
variant = ["noisy"]
heads = ["euler", "more", "9d-raw"]
optimizers = ["adam", "sgd"]
steps = [7, 9]
gpu-steps = [11]
seeds = 3
[run.sure]
table = "b"
confidence = "c"
task = ["wahba"]
heads = ["9d-raw"]
rates = [1]
steps = [5]
[run.scans]
table = "d"
clouds = true
task = ["points"]
heads = ["9d-raw"]
steps = [5]
"""


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


@pytest.fixture
def asked(monkeypatch):
    """Training is replaced by zeros, and the units asked for are listed."""
    units = []

    def zeros(unit, where):
        units.append((unit, where))
        row = dict(zip(KEYS[:6], unit[:6], strict=True)) | dict.fromkeys(COLUMNS[7:], 0)
        row |= dict.fromkeys(sweep.CONFIDENCE_COLUMNS, 0)
        return [row | {"seed": seed, "status": "ok"} for seed in unit.seeds]

    monkeypatch.setattr(sweep, "run_unit", zeros)
    return units


def run(plan, more=""):
    return sweep.main(["--plan", str(plan), "--workers", "1", *shlex.split(more)])


def test_an_entry_says_what_differs_from_what_all_share(plan):
    short, long, sure, scans = read_plan(plan)
    assert (short.name, short.out, short.confidence) == ("short", plan.parent / "a.csv", None)
    assert (short.variant, short.optimizers, short.heads) == (
        *(["clean"], ["adam"], ["9d-raw", "6d-gs"]),
    )
    assert (short.steps, short.tune_steps, short.seeds, short.tune_seeds) == ([5], 5, 4, 2)
    assert (long.seeds, long.steps, long.tune_steps) == (3, [7, 9], None)
    assert long.heads == ["euler", "9d-svd", "9d-raw", "6d-gs"]
    assert {u[:6] for u in long.final_units(read_table(long.out))} == {
        (task, "noisy", head, optimizer, rate, steps)
        for task in ("wahba", "points")
        for head in ("euler", "9d-svd", "9d-raw", "6d-gs")
        for optimizer, rate in (("adam", 1e-3), ("adam", 1e-2), ("sgd", 1e-1))
        for steps in (7, 9)
    }
    assert sure.rates == {"adam": [1]} and sure.confidence == plan.parent / "c.csv"
    assert scans.clouds and not sure.clouds


def test_on_a_gpu_budgets_go_on_in_tables_of_their_own(plan):
    entries = read_plan(plan, "cuda")
    assert [entry.steps for entry in entries] == [[5], [7, 9, 11], [5], [5]]
    assert entries[2].tables == [plan.parent / "cuda" / name for name in ("c.csv", "b.csv")]


def test_a_plan_is_run_in_its_order_and_only_what_is_missing(plan, asked, capsys):
    assert run(plan) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "left out, for want of --clouds: scans",
        f"{len(asked)} units missing, now done",
    ]
    tables = [plan.parent / f"{name}.csv" for name in "abcd"]
    written = [path.read_bytes() for path in tables[:3]]
    assert not tables[3].exists()
    assert [u.steps for u, _ in asked] == [5] * (4 + 2) + [9] * 24 + [7] * 24 + [5]
    assert [r["entry"] for r in provenance(tables[0])["runs"]] == ["short", "long"]
    assert [r["entry"] for r in provenance(tables[2])["runs"]] == ["sure"]
    asked.clear()
    assert run(plan) == 0
    assert asked == [] and capsys.readouterr().out.splitlines()[-1] == "0 units missing"
    assert [path.read_bytes() for path in tables[:3]] == written
    tables[2].unlink()
    assert run(plan) == 0
    assert len(asked) == 1


def test_only_the_named_tables_are_made(plan, asked, capsys):
    assert run(plan, "c") == 0
    assert {path.name for path in plan.parent.glob("*.csv")} == {"b.csv", "c.csv"}
    assert run(plan, "b nothing") == 2
    assert "has no table 'nothing'; it has a, c, b, d" in capsys.readouterr().err


def test_clouds_go_to_the_entries_that_need_them(plan, tmp_path, asked):
    (tmp_path / "scans").mkdir()
    np.save(tmp_path / "scans" / "x.npy", np.random.default_rng(0).normal(size=(9, 3)))
    assert run(plan, f"b d --clouds {tmp_path / 'scans'}") == 0
    assert [where.clouds for _, where in asked] == [None, *[str(tmp_path / "scans")] * 2]
    assert provenance(tmp_path / "d.csv")["clouds"] == "scans"
    assert provenance(tmp_path / "b.csv")["clouds"] is None


MORE = """
[defaults]
seeds = 1
rates = [1e-3]
[run.acted]
table = "m"
task = ["motion"]
heads = ["9d-raw"]
steps = [5]
[run.painted]
table = "k"
task = ["cube"]
heads = ["9d-raw"]
items = 64
steps = [6]
checks = 2
patience = 1
batch = 16
"""


def test_what_cannot_be_run_is_left_out_and_said(tmp_path, asked, capsys, monkeypatch):
    (tmp_path / "plan.toml").write_text(MORE)
    monkeypatch.setattr(flags, "can_render", lambda: False)
    monkeypatch.setattr(entry, "can_render", lambda: False)
    assert run(tmp_path / "plan.toml") == 0 and asked == []
    printed = capsys.readouterr().out
    assert "left out, for want of --motions: acted" in printed
    assert "left out, for want of cubes: painted" in printed


def test_an_entry_says_how_its_networks_are_trained(tmp_path, asked, monkeypatch):
    (tmp_path / "plan.toml").write_text(MORE)
    monkeypatch.setattr(flags, "can_render", lambda: True)
    monkeypatch.setattr(entry, "can_render", lambda: False)  # so that nothing is drawn
    assert run(tmp_path / "plan.toml", "k") == 0
    ((unit, where),) = asked
    assert (unit.task, where.protocol) == ("cube", Protocol(16, 64, checks=2, patience=1))
    made = provenance(tmp_path / "k.csv")
    assert {"batch_size": 16, "items": 64, "checks": 2, "patience": 1}.items() <= made.items()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = 4", "seeds = = 4", "(at line 3, column 9)"),
        ("[run.long]", "[run.short]", "Cannot declare ('run', 'short') twice (at line 17,"),
        ("[defaults]", "[default]", "unknown key default; known are defaults, rates, heads, run"),
        ("[run.sure]", "[run.sure]\nhead = 1", "[run.sure]: unknown key head; known are table,"),
        ("[defaults]", "[defaults]\nhead = 1", "[defaults]: unknown key head; known are table,"),
        ("sgd = ", "lion = ", "[rates]: unknown key lion; known are adam, adamw, sgd"),
        ("sgd = [1e-1]", "", "[run.long]: rates names nothing for sgd"),
        ('["9d-svd", "pair"]', '["9d"]', "[heads]: more: unknown head '9d'; known are euler"),
        ('["euler", "more"', '["many"', "[run.long]: unknown head 'many'; known are euler"),
        ('"wahba", "points"', '"wahba", "spheres"', "[run.long]: unknown task 'spheres'; known"),
        ('["noisy"]', '["dirty"]', "[run.long]: unknown variant 'dirty'; known are clean"),
        ('["adam", "sgd"]', '["lion"]', "[run.long]: unknown optimizer lion"),
        ('table = "b"', "", "[run.sure]: table missing"),
        ('table = "b"', 'table = "../b.csv"', "[run.sure]: table expects a name such as 'points'"),
        ('table = "b"', 'table = "c"', "the table c is for confidences and no real clouds; run.su"),
        ('table = "d"', 'table = "b"', "run.scans expects another for errors and real clouds"),
        ("steps = [7, 9]", "steps = 7", "[run.long]: steps expects a list of whole numbers, got 7"),
        ("steps = [7, 9]", "steps = [7, 0]", "[run.long]: steps expects at least 1, got 0"),
        ("seeds = 4", "seeds = true", "[defaults]: seeds expects a whole number, got True"),
        ("seeds = 4", "seeds = 1", "[run.short]: tune-seeds expects 1 to 1, got 2"),
        ("rates = [1]", "rates = [-1]", "[run.sure]: rates expects positive numbers, got -1"),
        ("rates = [1]", "rates = []", "[run.sure]: rates names nothing for adam"),
        (PLAN, "[run]\nx = 1", "[run.x]: expects keys and values, got 1"),
        (PLAN, "run = 1", "run expects a section, got 1"),
        (PLAN, "", "no section [run.NAME]: nothing to run"),
    ],
)
def test_a_mistake_in_a_plan_is_named_before_anything_is_run(
    plan, asked, capsys, old, new, message
):
    assert PLAN.count(old) == 1
    plan.write_text(PLAN.replace(old, new))
    assert run(plan) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"sweep: {plan}: ") and message in printed
    assert asked == [] and list(plan.parent.iterdir()) == [plan]


def test_a_table_in_the_way_is_named_before_anything_is_run(plan, asked, capsys):
    (plan.parent / "c.csv").write_text("a,b\n1,2\n")
    assert run(plan) == 2
    assert "c.csv expects the columns task, variant" in capsys.readouterr().err
    (plan.parent / "c.csv").unlink()
    (plan.parent / "b.json").write_text(json.dumps({"device": "cuda", "clouds": None, "runs": []}))
    assert run(plan) == 2
    assert "b.csv was made with device 'cuda', not 'cpu'" in capsys.readouterr().err
    assert asked == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--plan p.toml --heads 9d-raw --tune-seeds 3", "goes without --heads, --tune-seeds"),
        ("--plan p.toml --skip-unreadable", "goes without --skip-unreadable"),
        ("points", "tables are named with --plan only, got points"),
        ("--task wahba --heads 9d-raw", "expects --plan, or else --out, --rates, --steps"),
    ],
)
def test_a_plan_and_flags_do_not_mix(capsys, asked, arguments, message):
    with pytest.raises(SystemExit) as status:
        sweep.main(shlex.split(arguments))
    assert status.value.code == 2 and message in capsys.readouterr().err


def test_a_plan_that_is_not_there_is_named(tmp_path, capsys):
    assert run(tmp_path / "none.toml") == 2
    assert "No such file" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is such a device")
def test_a_device_that_is_not_there_is_named(plan, asked, capsys):
    assert run(plan, "--device cuda") == 2
    assert "no CUDA device was found" in capsys.readouterr().err
