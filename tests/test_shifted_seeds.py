"""A notebook whose assertion stands on one draw falls with other seeds; a sound one stands."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]

CELLS = """
import numpy as np
import torch
from torch import Generator
---
assert torch.randn(3, generator=Generator().manual_seed(4))[0] > {drawn}
---
torch.manual_seed(2)
assert abs(torch.randn(100_000).mean()) < 0.02
assert abs(np.random.default_rng(3).normal(size=100_000).mean()) < 0.02
"""


def written(folder, drawn):
    path = folder / "01_a_chapter.ipynb"
    cells = [nbformat.v4.new_code_cell(text) for text in CELLS.format(drawn=drawn).split("---")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def run(shift, path):
    """In a process of its own: what it leaves open is none of the other tests' business."""
    command = [sys.executable, "book/shifted_seeds.py", str(shift), str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.fixture
def one_draw():
    return torch.randn(3, generator=torch.Generator().manual_seed(4))[0].item() - 1e-6


def test_what_stands_on_one_draw_falls_and_is_named(tmp_path, one_draw):
    path = written(tmp_path, one_draw)
    before = path.read_bytes()
    assert run(0, path) == (0, "shift 0: 0 of 1 chapters fell\n")
    fallen = [text for code, text in (run(shift, path) for shift in range(1, 5)) if code]
    assert fallen and all("01_a_chapter.ipynb  cell 2: " in text for text in fallen)
    assert "assert torch.randn(3" in fallen[0] and "AssertionError" in fallen[0]
    assert path.read_bytes() == before
