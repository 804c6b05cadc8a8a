"""What the figures show: nbval does not compare pictures, so the numbers in them are held here."""

import importlib
import json
import re
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch
from conftest import from_singular_values, rotations

from figures import chapter_01, chapter_06, chapter_08, chapter_13, chapter_17, chapter_18, shared
from rotlib import svd_jacobian_spectrum
from rotlib.experiments.heads import HEADS, Head

CHAPTERS = sorted((Path(__file__).resolve().parents[1] / "chapters").glob("*.ipynb"))


def drawn_by(path):
    """The name of the module that a chapter calls ``draw``, and what it draws with it."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells)
    (module,) = re.findall(r"^from figures import (\w+) as draw$", code, re.MULTILINE)
    return module, set(re.findall(r"\bdraw\.(\w+)", code))


def drawings_of(module):
    """The drawings that a module of figures defines, not those that it passes on."""
    module = importlib.import_module(f"figures.{module}")
    return {
        name
        for name, f in vars(module).items()
        if hasattr(f, "__wrapped__") and f.__module__ == module.__name__
    }


def test_each_drawing_stands_where_it_is_used():
    """In the file of its chapter, or with the shared ones if two or more chapters draw it."""
    times = Counter()
    for path in CHAPTERS:
        module, called = drawn_by(path)
        times.update(called)
        assert module in (f"chapter_{path.stem[:2]}", "shared")
        assert called <= vars(importlib.import_module(f"figures.{module}")).keys(), path.stem
        assert module == "shared" or drawings_of(module) <= called, path.stem
    assert {name for name, n in times.items() if n > 1} == drawings_of("shared")


def lines(ax):
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


@pytest.mark.parametrize("s3", [1.0, 0.3, -0.4, -0.7])
def test_the_gains_are_the_spectrum(s3):
    bars, course = chapter_08.gains(1.5, 1.0, s3).axes
    spectrum = svd_jacobian_spectrum(from_singular_values(1.5, 1.0, s3))[0].tolist()
    assert [bar.get_height() for bar in bars.patches] == pytest.approx(spectrum[::-1])
    for plane, index in (("12", 2), ("13", 1), ("23", 0)):
        path = lines(course)[f"plane {plane}"]
        at = path[len(path) // 3]
        expected = svd_jacobian_spectrum(from_singular_values(1.5, 1.0, at[0]))[0, index]
        assert at[1] == pytest.approx(expected.item())


def test_a_gain_beyond_the_axis_says_so():
    bars, course = chapter_08.gains(1.5, 1.0, -0.95).axes
    assert "↑ 40.0" in [text.get_text() for text in bars.texts]
    marks = [line for line in course.get_lines() if line.get_marker() == "o"]
    assert len(marks) == 2


def test_the_valleys_are_the_cost_of_turning_away():
    curve = lines(chapter_06.valleys(torch.tensor([1.0, 2.0, 3.0])).axes[0])
    for k, name in enumerate(("axis 1: s₂+s₃", "axis 2: s₁+s₃", "axis 3: s₁+s₂"), start=1):
        x, y = curve[f"about {name}"][-1]
        assert (x, y) == pytest.approx((180, 4 * k))  # 2 (1 - cos 180) times the sum


def test_the_noise_laws_are_three_and_six():
    sigmas = torch.tensor([0.1, 0.2])
    figure = chapter_06.noise_errors(sigmas, {"9d-svd": sigmas, "6d-gs": sigmas})
    curve = lines(figure.axes[0])
    assert curve["3σ²"][1, 1] == pytest.approx(3 * 0.04)
    assert curve["6σ²"][1, 1] == pytest.approx(6 * 0.04)


def test_projections_state_the_distance_to_the_matrix():
    M, R = rotations(2)
    figure = chapter_06.projections(M, {"6d-gs": R, "9d-svd": M})
    titles = [ax.get_title() for ax in figure.axes]
    assert f"{float((M - R).norm()):.2f}" in titles[0]
    assert "0.00" in titles[1]


def test_the_matrix_grid_shows_the_change():
    before, after = rotations(2)
    texts = [text.get_text() for text in chapter_01.two_poses(before, after).axes[1].texts]
    shown = [float(text.replace("−", "-")) for text in texts]
    assert shown == pytest.approx((after - before).flatten().tolist(), abs=0.006)


def test_drawing_leaves_the_reader_s_style_alone():
    before = dict(plt.rcParams)
    chapter_01.bar_spectrum(torch.ones(3), "x", "y")
    assert dict(plt.rcParams) == before


@pytest.fixture
def new_head(monkeypatch):
    """A head that only its record knows of."""
    head = Head(9, torch.clone, torch.clone, name="mine", label="my own head", color="#123456")
    monkeypatch.setitem(HEADS, head.name, head)
    return head


def summary_of(*heads):
    """The table that the sweeps end in, with one budget for each of these heads."""
    rows = [{"head": h, "steps": 500, "median": 3.0, "low": 2.0, "high": 4.0} for h in heads]
    return pd.DataFrame(rows)


def words_in(figure):
    figure.draw_without_rendering()
    texts = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return " ".join(text.get_text() for text in texts)


def test_a_head_needs_nothing_but_its_record_to_be_drawn(new_head):
    heads = ["9d-svd", new_head.name]
    table, path = summary_of(*heads), rotations(5)
    numbers = torch.rand(3, 20)
    drawn = {
        "budgets": shared.budgets(table, heads),
        "ranking": shared.ranking(table, 500),
        "paths": chapter_13.paths_to_target(dict.fromkeys(heads, path), rotations(1)[0]),
        "coverage": chapter_17.risk_against_coverage(dict.fromkeys(heads, numbers)),
        "scatter": chapter_17.confidence_scatter(dict.fromkeys(heads, (numbers[0], numbers[1]))),
    }
    for name, figure in drawn.items():
        assert new_head.label in words_in(figure), name
        colors = [line.get_color() for ax in figure.axes for line in ax.get_lines()]
        assert new_head.color in colors and HEADS["9d-svd"].color in colors, name
    assert new_head.label in words_in(chapter_18.verdicts({"points": table}, heads, 500))
    pairs = table.assign(ratio=1.0, ratio_low=0.5, ratio_high=2.0)
    assert new_head.label in words_in(shared.ratios({"points": pairs}, new_head.name, "9d-svd"))
