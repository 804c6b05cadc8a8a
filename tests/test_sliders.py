"""Figures that move: what a page gets, what a kernel gets, what is refused."""

import html.parser

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from figures import explore, show, sliders


def draw_bar(height):
    """One bar of the height on the slider.

    A second paragraph, which is no alt text.
    """
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.bar([0], [height])
    axes.set_ylim(-1, 1)
    return figure


def draw_segment(x, y):
    """A segment from the origin."""
    figure, axes = plt.subplots(figsize=(2, 2))
    axes.plot([0, x], [0, y])
    axes.set(xlim=(-1, 1), ylim=(-1, 1))
    return figure


class Tags(html.parser.HTMLParser):
    """Every start tag of a piece of HTML, with its attributes."""

    def __init__(self, text):
        super().__init__()
        self.all = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.all.append((tag, dict(attributes)))

    def named(self, name):
        return [attributes for tag, attributes in self.all if tag == name]


@pytest.fixture
def shown(monkeypatch):
    """The bundles that ``display`` received."""
    bundles = []
    monkeypatch.setattr(sliders, "display", lambda bundle, raw: bundles.append(bundle))
    return bundles


@pytest.fixture
def widgets(monkeypatch):
    """The live widgets that were made."""
    made = []
    make = sliders._widget
    monkeypatch.setattr(sliders, "_widget", lambda *args: made.append(make(*args)) or made[-1])
    return made


def test_show_is_one_closed_accessible_picture(shown):
    before = plt.get_fignums()
    show(draw_bar(0.5), alt='A "tall" bar', caption="See $h < 1$.")
    (bundle,) = shown
    tags = Tags(bundle["text/html"])
    (image,) = tags.named("img")
    assert image["alt"] == 'A "tall" bar'
    assert (image["width"], image["height"]) == ("288", "192")
    assert r"\(h &lt; 1\)" in bundle["text/html"]
    assert bundle["text/plain"] == "See $h < 1$."
    assert plt.get_fignums() == before


def test_show_gives_equal_bytes_for_equal_figures(shown):
    for _ in range(2):
        show(draw_bar(0.5), alt="A bar")
    show(draw_bar(0.6), alt="A bar")
    assert shown[0] == shown[1]
    assert shown[0] != shown[2]


def test_show_refuses_a_figure_without_alt():
    with pytest.raises(ValueError, match="alt"):
        show(draw_bar(0.5), alt="")


def test_bundle_has_two_lives_and_a_text(shown):
    explore(draw_bar, height=[0, 1])
    assert set(shown[0]) == {"text/html", "text/plain", sliders.WIDGET_VIEW}
    assert shown[0]["text/plain"] == "One bar of the height on the slider."


@pytest.mark.parametrize(
    "values", [[-0.5, 0.0, 1.0], np.array([-0.5, 0, 1]), torch.tensor([-0.5, 0, 1])]
)
def test_player_has_one_frame_per_value_and_they_differ(shown, values):
    explore(draw_bar, alt="A bar", labels={"height": "height h"}, height=values)
    images = Tags(shown[0]["text/html"]).named("img")
    assert len({image["src"] for image in images}) == 3
    assert [image["alt"] for image in images] == [
        "A bar (height h: −0.5)",
        "A bar (height h: 0.0)",
        "A bar (height h: 1.0)",
    ]
    assert ["hidden" in image for image in images] == [False, True, True]


def test_two_sliders_make_a_grid_whose_second_slider_runs_fastest(shown):
    explore(draw_segment, x=[-1, 0, 1], y=[0.25, 0.5])
    tags = Tags(shown[0]["text/html"])
    assert [image["alt"] for image in tags.named("img")][:3] == [
        "A segment from the origin. (x: −1, y: 0.25)",
        "A segment from the origin. (x: −1, y: 0.50)",
        "A segment from the origin. (x: 0, y: 0.25)",
    ]
    assert [slider["max"] for slider in tags.named("input")] == ["2", "1"]


def test_player_needs_no_id_and_no_script_and_its_sliders_are_labelled(shown):
    explore(draw_segment, x=[-1, 0, 1], y=[0.25, 0.5])
    tags = Tags(shown[0]["text/html"])
    assert not tags.named("script")
    assert not any("id" in attributes for _, attributes in tags.all)
    assert len(tags.named("label")) == len(tags.named("output")) == 2
    assert [slider["aria-valuetext"] for slider in tags.named("input")] == ["−1", "0.25"]
    assert all(output["aria-live"] == "polite" for output in tags.named("output"))


def test_live_widget_draws_again_when_its_slider_moves(shown, widgets):
    explore(draw_bar, height=[0, 1])
    image, slider, _ = widgets[0].children
    before = image.value
    slider.value = 1
    assert image.value != before
    assert 'alt="One bar of the height on the slider. (height: 1)"' in image.value
    assert shown[0][sliders.WIDGET_VIEW]["model_id"] == widgets[0].model_id
    assert slider.description == "height"
    assert [text for text, _ in slider.options] == ["0", "1"]


def test_every_figure_is_closed(shown, widgets):
    before = plt.get_fignums()
    explore(draw_segment, x=[-1, 1], y=[0, 1])
    widgets[0].children[1].value = 1
    assert plt.get_fignums() == before


def test_labels_are_escaped(shown):
    explore(draw_bar, alt="<b>", labels={"height": 'h < "1"'}, height=[0, 1])
    assert "<b>" not in shown[0]["text/html"]
    assert Tags(shown[0]["text/html"]).named("img")[0]["alt"] == '<b> (h < "1": 0)'


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0, 30, 60], ["0", "30", "60"]),
        ([-0.0, 0.5], ["0.0", "0.5"]),
        (np.linspace(1, -1, 4).tolist(), ["1.00", "0.33", "−0.33", "−1.00"]),
        ([0.001, 0.01, 1.0], ["0.001", "0.010", "1.000"]),
        ([1e-6, 1e-3, 1.0], ["1e−06", "0.001", "1"]),
        (["xyz", "zyx"], ["xyz", "zyx"]),
    ],
)
def test_values_are_written_with_the_decimals_they_need(values, texts):
    assert sliders._texts(values) == texts


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"height": 3}, TypeError, "sequence of values for height, got int"),
        ({"height": "abc"}, TypeError, "sequence of values for height, got str"),
        ({"height": [1]}, ValueError, "at least two values for height"),
        ({"height": torch.tensor(1.0)}, ValueError, "at least two values for height"),
        ({}, ValueError, "one or two sliders, got 0"),
        ({"a": [0, 1], "b": [0, 1], "c": [0, 1]}, ValueError, "one or two sliders, got 3"),
        ({"height": [0, 1], "labels": {"width": "w"}}, ValueError, "no slider: width"),
    ],
)
def test_bad_sliders_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        explore(draw_bar, **arguments)


def test_alt_is_required():
    with pytest.raises(ValueError, match="alt"):
        explore(lambda height: draw_bar(height), height=[0, 1])


def draw_noise(seed):
    """Noise, which no encoding makes small."""
    figure, axes = plt.subplots(figsize=(5, 4))
    axes.imshow(np.random.default_rng(seed).random((400, 500, 3)))
    return figure


def test_too_many_bytes_are_refused_with_their_number():
    with pytest.raises(ValueError, match=r"at most 300 kB of pictures, got \d+ kB in 6 frames"):
        explore(draw_noise, seed=range(6))


@pytest.mark.parametrize("values", [[1.0, 1.0001, 1.0002], [1, 1.00001], [1e-8, 1e-3, 1]])
def test_labels_tell_the_values_apart(values):
    assert len(set(sliders._texts(values))) == len(values)


@pytest.mark.parametrize("wrong", [None, 3, "figure"])
def test_what_is_no_figure_is_refused(wrong):
    with pytest.raises(TypeError, match="must return a matplotlib Figure, got"):
        explore(lambda x: wrong, alt="Nothing", x=[0, 1])
