"""The code solutions of the exercises run, and their asserts hold."""

import re
from pathlib import Path

import nbformat
import pytest
import torch

CHAPTERS = sorted((Path(__file__).resolve().parents[1] / "chapters").glob("*.ipynb"))
SOLUTION = re.compile(r"^:::\{solution\} *(\S+)$(.*?)^:::$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def solutions():
    for path in CHAPTERS:
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        for label, body in SOLUTION.findall(text):
            for code in PYTHON.findall(body):
                yield pytest.param(code, id=label)


@pytest.mark.parametrize("code", solutions())
def test_the_code_solution_runs_and_checks_itself(code):
    assert "assert " in code
    before = torch.get_default_dtype(), torch.random.get_rng_state()
    try:
        exec(compile(code, "solution", "exec"), {})
    finally:
        torch.set_default_dtype(before[0])
        torch.random.set_rng_state(before[1])


def test_every_chapter_has_a_code_solution():
    labels = [param.id for param in solutions()]
    for path in CHAPTERS:
        number = int(path.stem[:2])
        assert f"ex-{number}-code" in labels
