"""The claims ledger: every row of book/claims.json is measured again, and could have failed."""

import dataclasses
import json
import math
import sys
from pathlib import Path

import pytest

# At the end of the path: a copy of rotlib under test goes first.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from claims import LEDGER, PARTS, ROOT, Claim, ClaimError, Unmet, all_claims
from claims.__main__ import main
from claims.expected import about, above, below, between, exactly
from claims.prose import fill, typed_digit

CLAIMS = all_claims()
CASES = [
    pytest.param(claim, id=name, marks=[pytest.mark.exhaustive] * claim.slow)
    for name, claim in CLAIMS.items()
]


@pytest.fixture(scope="module")
def ledger():
    return {row["id"]: row for row in json.loads(LEDGER.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("claim", CASES)
def test_claim(claim, ledger):
    assert claim.row(claim.numbers()) == ledger[claim.id], "`make claims` writes the ledger"


def test_the_ledger_holds_these_claims_and_no_other(ledger):
    assert list(ledger) == list(CLAIMS)


def test_every_file_with_claims_is_a_part():
    files = {
        path.stem for path in (ROOT / "claims").glob("*.py") if "\n@claim(" in path.read_text()
    }
    assert files == set(PARTS)


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("svd-jacobian-rank", {"rank": 4}, "'holds': rank is 4, expected exactly 3"),
        ("svd-jacobian-rank", {"of_another_rank": 1}, "of_another_rank is 1"),
        ("equivariance", {"gap": math.nan}, "gap is nan, expected below 1e-09"),
        ("downstream-breaks-direct", {"low": [1.2, 0.9, 1.1]}, "low is .* expected above 1"),
        (
            "projection-in-a-step",
            {"mlp_long": {"svd": 0.4, "ours": 0.1}},
            r"mlp_long\[svd\] is 0.4",
        ),
    ],
)
def test_a_wrong_number_takes_the_verdict_with_it(name, wrong, message):
    numbers = CLAIMS[name].numbers()
    assert CLAIMS[name].row(numbers)
    with pytest.raises(Unmet, match=message):
        CLAIMS[name].row({**numbers, **wrong})


def test_a_number_that_changes_within_its_interval_changes_the_ledger(ledger):
    claim = CLAIMS["svd-jacobian-values"]
    numbers = claim.numbers()
    changed = claim.row({**numbers, "negative": numbers["negative"] + 1})
    assert changed["measured"] != ledger[claim.id]["measured"]
    # What differs from machine to machine does not: the ledger states the bound.
    assert claim.row({**numbers, "gap": 3 * numbers["gap"]}) == ledger[claim.id]


SOUND = {
    "claim": "Two and two are four.",
    "source": "this book",
    "chapter": "18_the_verdict",
    "verdict": "holds",
    "predicted": "$2+2$, which is {expected[total]}",
    "measured": "{total}",
    "expected": {"total": exactly(4)},
}


def toy(measure=lambda: {"total": 4}, **changed):
    return Claim("a-sum", measure, **{**SOUND, **changed})


def test_a_sound_claim_is_a_row():
    row = toy().row(toy().numbers())
    assert row == {
        **{name: SOUND[name] for name in ("claim", "source", "chapter", "verdict")},
        **{"id": "a-sum", "note": "", "predicted": "$2+2$, which is 4", "measured": "4"},
        "check": "test_claim[a-sum]",
    }


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"source": "", "chapter": ""}, "it lacks source, chapter"),
        ({"expected": {}}, "it lacks expected"),
        ({"chapter": "21_nowhere"}, "there is no chapter '21_nowhere'"),
        ({"verdict": "true"}, "verdict 'true' is not one of"),
        ({"measured": "four, always"}, "no number is measured in 'four, always'"),
        ({"measured": "{total}, to 1e-12"}, "measured states '1', which was typed by hand"),
        ({"measured": "{total} at $s_2=0.5$"}, "measured states '0.5'"),
        ({"predicted": "about 4.0"}, "predicted states '4.0'"),
    ],
)
def test_a_claim_that_is_not_fit_is_refused_with_advice(changed, reason):
    with pytest.raises(ClaimError, match=reason) as refused:
        toy(**changed)
    assert "How to add a claim:" in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"expected": {"sum": exactly(4)}}, "sum is expected, but not measured"),
        ({"measured": "{sum}"}, "'sum' is stated, but not measured"),
        ({"measure": lambda: {"total": "four"}}, "total is no number but 'four'"),
    ],
)
def test_what_is_not_measured_is_not_stated(changed, reason):
    claim = toy(**changed)
    with pytest.raises(ClaimError, match=reason):
        claim.row(claim.numbers())


@pytest.mark.parametrize(
    ("expected", "held", "broken"),
    [
        (exactly(3), [3, 3.0], [4, 2.999]),
        (exactly(True), [True], [False]),
        (about(3, within=0.5), [3, 3.4, [2.6, 3.4]], [3.6, 2.4, [3, 3.6]]),
        (below(1), [0.9, -5, {"a": 0.5}], [1, 1.1, {"a": 0.5, "b": 2}]),
        (above(1), [1.1], [1, 0.9]),
        (between(1, 2), [1.5], [1, 2, 0, 3]),
    ],
)
def test_what_an_expectation_holds(expected, held, broken):
    assert all(expected.holds(found) for found in held)
    assert not any(expected.holds(found) for found in [*broken, math.nan, [], {}])


def test_numbers_are_rounded_in_the_prose():
    numbers = {"x": 2.345, "many": [0.5, 0.25], "by_steps": {500: 0.333, 2000: 1.0}, "tiny": 1e-5}
    expected = {"tiny": below(1e-4), "big": above(1e6), "x": about(2, within=0.5)}
    for text, filled in {
        "{x:.1f} and $\\sigma_{{1}}={x:.2f}$": "2.3 and $\\sigma_{1}=2.35$",
        "{many:.0%}": "50%, 25%",
        "{by_steps:.2f}": "0.33, 1.00",
        "{by_steps:.2f at ,} steps": "0.33 at 500, 1.00 at 2,000 steps",
        "{by_steps[500]:.1f}": "0.3",
        "{tiny:g}, below {expected[tiny]:g}, {expected[big]:.0e}": "1e-5, below 0.0001, 1e6",
        "{expected[x]:.1f}, above {expected[x].low:g}": "2.0, above 1.5",
    }.items():
        assert fill(text, numbers, expected) == filled


def test_digits_typed_by_hand_are_found():
    free = "{x:.2f} at $s_2+s_3$, $\\sigma^2$, float32, with $\\det M<0$ or > 0 in {n:,}"
    assert typed_digit(free, formulas=False) == ""
    for text, digit in {"{x} of 1,000": "1,000", "<0.02": "0.02", "$10^{{-6}}$": "10"}.items():
        assert typed_digit("{x} " + text, formulas=False) == digit
    assert typed_digit("$2/(s_i+s_j)$", formulas=True) == ""


def test_the_command_measures_and_prints(capsys):
    assert main(["gimbal-lock"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("gimbal-lock: holds")
    assert "expected: gap below 1e-12" in printed


@pytest.mark.parametrize("arguments", [["no-such-claim"], ["gimbal-lock", "--write"]])
def test_the_command_refuses(arguments, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert "gimbal-lock" in capsys.readouterr().err or "--write" in arguments


def test_the_ledger_is_written_only_if_every_verdict_stands(tmp_path, monkeypatch):
    path = tmp_path / "claims.json"
    monkeypatch.setattr("claims.__main__.LEDGER", path)
    wrong = dataclasses.replace(toy(), measure=lambda: {"total": 5})
    for claims, status in (({"a": toy(), "b": wrong}, 1), ({"a": toy()}, 0)):
        monkeypatch.setattr("claims.__main__.all_claims", lambda claims=claims: claims)
        assert not path.exists()
        assert main(["--write"]) == status
    assert json.loads(path.read_text(encoding="utf-8")) == [toy().row({"total": 4})]
