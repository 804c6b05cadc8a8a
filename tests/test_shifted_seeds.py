"""A notebook whose assertion stands on one draw falls with other seeds; a sound one stands."""

import nbformat
import pytest
import shifted_seeds

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


@pytest.fixture
def one_draw():
    import torch

    return torch.randn(3, generator=torch.Generator().manual_seed(4))[0].item() - 1e-6


def test_what_stands_on_one_draw_falls_and_is_named(tmp_path, one_draw, capsys):
    path = written(tmp_path, one_draw)
    before = path.read_bytes()
    assert shifted_seeds.failures(path, 0) == []
    fallen = [found for shift in range(1, 7) for found in shifted_seeds.failures(path, shift)]
    assert fallen and {number for number, _ in fallen} == {2}
    assert "assert torch.randn(3" in fallen[0][1] and "AssertionError" in fallen[0][1]
    assert path.read_bytes() == before


def test_the_command_says_what_fell_and_fails(tmp_path, one_draw, capsys):
    sound = written(tmp_path, -100.0)
    assert shifted_seeds.main(["5", str(sound)]) == 0
    assert "shift 5: 0 of 1 chapters fell" in capsys.readouterr().out
    assert shifted_seeds.main(["5", str(written(tmp_path, 100.0))]) == 1
    out = capsys.readouterr().out
    assert "shift 5  01_a_chapter.ipynb  cell 2" in out and "1 of 1 chapters fell" in out
