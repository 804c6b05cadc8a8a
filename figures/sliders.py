"""Put a figure on a page, still or with sliders.

A figure becomes one output with text for those who cannot see it. With sliders that output leads
two lives: in a kernel it is a live widget that draws again; in the published page it is a player
of stored pictures, which needs no kernel, no network and no script.
"""

import base64
import itertools
import json
import re
from html import escape
from io import BytesIO
from numbers import Real

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image, ImageChops

CSS_PIXELS_PER_INCH = 96
SIZE_LIMIT = 300_000
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MINUS = "\N{MINUS SIGN}"

# Runs in the page when a slider moves. It finds everything from the slider outwards, so that a
# page may hold any number of players and none needs a name.
ON_INPUT = """
const player = this.closest('figure');
let frame = 0;
for (const slider of player.querySelectorAll('input')) {
  const text = JSON.parse(slider.dataset.values)[slider.value];
  slider.setAttribute('aria-valuetext', text);
  slider.parentNode.nextElementSibling.textContent = text;
  frame = frame * (Number(slider.max) + 1) + Number(slider.value);
}
player.querySelectorAll('img').forEach((image, i) => { image.hidden = i !== frame; });
"""
ON_INPUT = " ".join(ON_INPUT.split())


def show(figure, *, alt, caption=None):
    """Display a matplotlib figure as one picture with a caption, and close it.

    The picture is WebP at twice the pixel density of the page; equal figures give equal bytes.

    Args:
        figure: A matplotlib ``Figure``.
        alt: What the figure shows, for readers who do not see it.
        caption: What to look at, shown below the figure; may hold ``$...$``.

    Raises:
        ValueError: If ``alt`` is empty.
    """
    if not alt:
        raise ValueError("show expects alt, a text that says what the figure shows; got none")
    picture = _image(figure, alt, scale=2)
    html = f'<figure class="rotlib-figure">{picture}{caption_html(caption)}</figure>'
    display({"text/html": html, "text/plain": caption or alt}, raw=True)


def explore(draw, *, alt=None, caption=None, labels=None, **sliders):
    """Display a figure that the reader moves with one or two sliders.

    Args:
        draw: Called as ``draw(name=value, ...)`` with one value of each slider; returns a
            matplotlib ``Figure``. All figures have the same size.
        alt: What the figure shows; by default the first line of ``draw``'s docstring. The values
            of the sliders are appended for each picture.
        caption: What to look at, shown below the sliders; may hold ``$...$``.
        labels: Slider name to the label shown, such as ``{"theta": "angle θ (degrees)"}``.
        **sliders: One or two sequences (list, array or tensor) of at least two values each.

    Raises:
        TypeError: If a slider is not a sequence of values.
        ValueError: If there is no alt text, not one or two sliders, a slider with fewer than two
            values, a label for no slider, or more than 300 kB of pictures.

    Example:
        >>> explore(draw_spectrum, alt="Spectrum", s3=[1, 0.5, 0, -0.5])
    """
    alt = alt or (draw.__doc__ or "").strip().partition("\n")[0]
    if not alt:
        raise ValueError("explore expects alt, or a docstring of draw; got neither")
    sliders = {name: _values(name, values) for name, values in sliders.items()}
    if len(sliders) not in (1, 2):
        raise ValueError(f"explore expects one or two sliders, got {len(sliders)}")
    labels = labels or {}
    if unknown := set(labels) - set(sliders):
        raise ValueError(f"explore got labels for no slider: {', '.join(sorted(unknown))}")
    labels = {name: labels.get(name, name.replace("_", " ")) for name in sliders}
    texts = {name: _texts(values) for name, values in sliders.items()}

    def picture(indices):
        values = {name: sliders[name][i] for name, i in zip(sliders, indices, strict=True)}
        state = ", ".join(
            f"{labels[name]}: {texts[name][i]}" for name, i in zip(sliders, indices, strict=True)
        )
        return _image(draw(**values), f"{alt} ({state})", scale=1.5)

    grid = itertools.product(*(range(len(values)) for values in sliders.values()))
    images = [picture(indices) for indices in grid]
    size = sum(len(image) for image in images)
    if size > SIZE_LIMIT:
        raise ValueError(
            f"explore expects at most {SIZE_LIMIT // 1000} kB of pictures, got {size // 1000} kB "
            f"in {len(images)} frames: use fewer values or a smaller figure"
        )
    bundle = {
        "text/html": _player(images, labels, texts, caption),
        "text/plain": caption or alt,
        WIDGET_VIEW: _widget_view(_widget(picture, images[0], labels, texts, caption)),
    }
    display(bundle, raw=True)


def _values(name, values):
    """The values of a slider as a list of Python objects."""
    if isinstance(values, str) or not (hasattr(values, "__iter__") or hasattr(values, "tolist")):
        raise TypeError(
            f"explore expects a sequence of values for {name}, got {type(values).__name__}"
        )
    values = values.tolist() if hasattr(values, "tolist") else list(values)
    if not isinstance(values, list) or len(values) < 2:
        raise ValueError(f"explore expects at least two values for {name}, got {values!r}")
    return values


def _texts(values):
    """The values as text, all with the same decimals: the fewest that tell them apart."""
    if not all(isinstance(value, Real) for value in values):
        return [str(value) for value in values]

    def texts(form):
        # Adding zero turns -0.0 into 0.0.
        return [form(value).replace("-", MINUS) for value in values]

    def fixed(decimals):
        return texts(lambda value: f"{round(value, decimals) + 0.0:.{decimals}f}")

    def exact(decimals):
        return all(abs(value - round(value, decimals)) < 1e-9 for value in values)

    over_many_powers_of_ten = 0 < min(values) < max(values) / 1001
    if not over_many_powers_of_ten:
        # Thirds have no exact decimals: two or three have to do.
        for decimals in [d for d in range(4) if exact(d)] + [2, 3]:
            if len(set(fixed(decimals))) == len(set(values)):
                return fixed(decimals)
    for digits in range(3, 18):
        short = texts(lambda value, digits=digits: f"{value:.{digits}g}")
        if len(set(short)) == len(set(values)):
            break
    return short


def _image(figure, alt, *, scale):
    """The figure as an ``<img>`` of its natural size, and the figure closed."""
    if not isinstance(figure, Figure):
        raise TypeError(f"a drawing must return a matplotlib Figure, got {type(figure).__name__}")
    png = BytesIO()
    figure.savefig(png, format="png", dpi=CSS_PIXELS_PER_INCH * scale)
    plt.close(figure)
    picture = Image.open(png).convert("RGB")
    width, height = (round(pixels / scale) for pixels in picture.size)
    data = base64.b64encode(_webp(picture)).decode("ascii")
    return (
        f'<img alt="{escape(alt)}" width="{width}" height="{height}" '
        f'style="max-width: 100%; height: auto" src="data:image/webp;base64,{data}">'
    )


def _few_colours(picture):
    """The picture in the fewest of 64, 128, 256 or all colours that mistake none for another."""
    for colours in (64, 128, 256):
        reduced = picture.quantize(colours, dither=Image.Dither.NONE).convert("RGB")
        if np.asarray(ImageChops.difference(picture, reduced)).max() <= 48:
            return reduced
    return picture


def _webp(picture):
    """The shorter of a lossy and a lossless encoding of few colours: drawings like the second."""
    palette = _few_colours(picture)
    encodings = []
    for source, options in ((picture, {"quality": 80}), (palette, {"lossless": True})):
        buffer = BytesIO()
        source.save(buffer, format="webp", method=6, **options)
        encodings.append(buffer.getvalue())
    return min(encodings, key=len)


def caption_html(caption):
    # Both the book and JupyterLab typeset \(...\) inside HTML.
    if not caption:
        return ""
    text = re.sub(r"\$([^$]+)\$", r"\\(\1\\)", escape(caption, quote=False))
    return f'<figcaption class="mathjax_process">{text}</figcaption>'


def _player(images, labels, texts, caption):
    """The life without a kernel: all pictures, one of them shown, and native range inputs."""
    first, *others = images
    frames = first + "".join(image.replace("<img ", "<img hidden ", 1) for image in others)
    # Autocomplete would let a browser restore a slider but not its picture on reload.
    sliders = "".join(
        f'<div class="rotlib-slider"><label><span>{escape(labels[name])}</span> '
        f'<input type="range" min="0" max="{len(texts[name]) - 1}" step="1" value="0" '
        f'autocomplete="off" aria-valuetext="{escape(texts[name][0])}" '
        f'data-values="{escape(json.dumps(texts[name], ensure_ascii=False))}" '
        f'oninput="{escape(ON_INPUT)}"></label> '
        f'<output aria-live="polite">{escape(texts[name][0])}</output></div>'
        for name in labels
    )
    return (
        f'<figure class="rotlib-explore"><div class="rotlib-frames">{frames}</div>'
        f"{sliders}{caption_html(caption)}</figure>"
    )


def _widget(picture, first, labels, texts, caption):
    """The life in a kernel: the same sliders, each move drawn anew."""
    import ipywidgets

    image = ipywidgets.HTML(first)
    sliders = [
        ipywidgets.SelectionSlider(
            options=[(text, i) for i, text in enumerate(texts[name])],
            description=label,
            continuous_update=True,
            style={"description_width": "initial"},
            layout={"width": "min(100%, 34em)"},
        )
        for name, label in labels.items()
    ]

    def redraw(_change):
        image.value = picture([slider.value for slider in sliders])

    for slider in sliders:
        slider.observe(redraw, names="value")
    return ipywidgets.VBox([image, *sliders, ipywidgets.HTML(caption_html(caption))])


def _widget_view(widget):
    return {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
