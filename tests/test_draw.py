"""What the figures show: nbval does not compare pictures, so the numbers in them are held here."""

import matplotlib.pyplot as plt
import pytest
import torch
from conftest import from_singular_values, rotations

from rotlib import svd_jacobian_spectrum
from rotlib.display import COLORS, draw


def lines(ax):
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


@pytest.mark.parametrize("s3", [1.0, 0.3, -0.4, -0.7])
def test_the_gains_are_the_spectrum(s3):
    bars, course = draw.gains(1.5, 1.0, s3).axes
    spectrum = svd_jacobian_spectrum(from_singular_values(1.5, 1.0, s3))[0].tolist()
    assert [bar.get_height() for bar in bars.patches] == pytest.approx(spectrum[::-1])
    for plane, index in (("12", 2), ("13", 1), ("23", 0)):
        path = lines(course)[f"plane {plane}"]
        at = path[len(path) // 3]
        expected = svd_jacobian_spectrum(from_singular_values(1.5, 1.0, at[0]))[0, index]
        assert at[1] == pytest.approx(expected.item())


def test_a_gain_beyond_the_axis_says_so():
    bars, course = draw.gains(1.5, 1.0, -0.95).axes
    assert "↑ 40.0" in [text.get_text() for text in bars.texts]
    marks = [line for line in course.get_lines() if line.get_marker() == "o"]
    assert len(marks) == 2


def test_the_valleys_are_the_cost_of_turning_away():
    curve = lines(draw.valleys(torch.tensor([1.0, 2.0, 3.0])).axes[0])
    for k, name in enumerate(("axis 1: s₂+s₃", "axis 2: s₁+s₃", "axis 3: s₁+s₂"), start=1):
        x, y = curve[f"about {name}"][-1]
        assert (x, y) == pytest.approx((180, 4 * k))  # 2 (1 - cos 180) times the sum


def test_the_noise_laws_are_three_and_six():
    sigmas = torch.tensor([0.1, 0.2])
    figure = draw.noise_errors(sigmas, {"9d-svd": sigmas, "6d-gs": sigmas})
    curve = lines(figure.axes[0])
    assert curve["3σ²"][1, 1] == pytest.approx(3 * 0.04)
    assert curve["6σ²"][1, 1] == pytest.approx(6 * 0.04)


def test_projections_state_the_distance_to_the_matrix():
    M, R = rotations(2)
    figure = draw.projections(M, {"6d-gs": R, "9d-svd": M})
    titles = [ax.get_title() for ax in figure.axes]
    assert f"{float((M - R).norm()):.2f}" in titles[0]
    assert "0.00" in titles[1]


def test_the_matrix_grid_shows_the_change():
    before, after = rotations(2)
    texts = [text.get_text() for text in draw.two_poses(before, after).axes[1].texts]
    shown = [float(text.replace("−", "-")) for text in texts]
    assert shown == pytest.approx((after - before).flatten().tolist(), abs=0.006)


def test_drawing_leaves_the_reader_s_style_alone():
    before = dict(plt.rcParams)
    draw.bar_spectrum(torch.ones(3), "x", "y")
    assert dict(plt.rcParams) == before


def test_representations_have_colours_of_their_own():
    assert len(set(COLORS.values())) == len(COLORS)
