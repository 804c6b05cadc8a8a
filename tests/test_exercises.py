"""The code solutions of the exercises run, their asserts hold, and a wrong answer fails them."""

import re
from functools import cache
from pathlib import Path

import nbformat
import pytest
import torch

CHAPTERS = sorted((Path(__file__).resolve().parents[1] / "chapters").glob("*.ipynb"))
SOLUTION = re.compile(r"^:::\{solution\} *(\S+)$(.*?)^:::$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: For each code exercise a plausible mistake: what it is, the right words, the wrong ones.
WRONG = {
    "ex-1-code": (
        "the arcsine alone, which knows no angle beyond 90 degrees",
        "torch.atan2(s.norm(dim=-1), c)",
        "torch.asin(s.norm(dim=-1).clamp(max=1))",
    ),
    "ex-2-code": (
        "the source order read as turns about fixed axes",
        "    R = euler_to_matrix(angles, source)\n    return",
        "    R = euler_to_matrix(angles, source.lower())\n    return",
    ),
    "ex-3-code": ("the turn in the world's frame", "R1.mT @ R2", "R2 @ R1.mT"),
    "ex-4-code": ("the eigenvector of the smallest eigenvalue", "[:, -1]", "[:, 0]"),
    "ex-5-code": ("the whole circle, which no map can follow", "0, math.pi", "0, 2 * math.pi"),
    "ex-6-code": ("noise in all entries", ".triu()", ""),
    "ex-7-code": ("half of the turn", "2 * vee(H)", "vee(H)"),
    "ex-8-code": ("half of the turn", "2 * vee(", "vee("),
    "ex-9-code": ("the gradient in the place of the motion", "J @ J @ turn", "J @ turn"),
    "ex-10-code": ("differences of singular values", "(s[i] + s[j])", "(s[i] - s[j])"),
    "ex-11-code": (
        "the two orders that begin with the first column",
        "itertools.permutations(range(3), 2)",
        "[(0, 1), (0, 2)] * 3",
    ),
    "ex-12-code": ("no penalty", "0.3 * (gram", "0.0 * (gram"),
    "ex-13-code": ("small gradients made longer", "min(1.0, cap", "max(1.0, cap"),
    "ex-14-code": (
        "no projection in training, which is direct regression",
        "Head(9, near_identity, near_identity)",
        "Head(9, lambda x: x.unflatten(-1, (3, 3)) + torch.eye(3), near_identity)",
    ),
    "ex-15-code": ("a row in the place of a column", "painted(R[:, :, 0])", "painted(R[:, 0])"),
    "ex-16-code": (
        "projected in the loop",
        "position_loss(M, truth)",
        "position_loss(svd_orthogonalize(M), truth)",
    ),
    "ex-17-code": ("half of the angle", "turns.norm(dim=1)", "(turns.norm(dim=1) / 2)"),
    "ex-18-code": ("the raw output alone", "(M + svd_orthogonalize(M)) / 2", "M"),
    "ex-19-code": ("columns divided in the place of rows", "sigma[:, None] ** 2))", "sigma**2))"),
    "ex-20-code": (
        "the matrix H in the place of tI - H",
        "torch.linalg.solve(A, b)",
        "torch.linalg.solve(H, b)",
    ),
    "ex-21-code": (
        "clipped three times too late",
        "clip_item_gradients(x, 1.0)",
        "clip_item_gradients(x, 3.0)",
    ),
}


#: They train for 4 seconds or more.
SLOW = {"ex-5-code", "ex-12-code", "ex-14-code", "ex-16-code", "ex-18-code"}


@cache
def solutions():
    """Label and Python of each solution that has any."""
    found = []
    for path in CHAPTERS:
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        for label, body in SOLUTION.findall(text):
            found += [(label, code) for code in PYTHON.findall(body)]
    return found


def case(label, *values):
    return pytest.param(*values, id=label, marks=[pytest.mark.exhaustive] * (label in SLOW))


def run(code):
    before = torch.get_default_dtype(), torch.random.get_rng_state()
    try:
        exec(compile(code, "solution", "exec"), {})
    finally:
        torch.set_default_dtype(before[0])
        torch.random.set_rng_state(before[1])


@pytest.mark.parametrize("code", [case(label, code) for label, code in solutions()])
def test_the_code_solution_runs_and_checks_itself(code):
    assert "assert " in code
    run(code)


def test_every_chapter_has_a_code_solution_and_a_wrong_answer():
    expected = {f"ex-{int(path.stem[:2])}-code" for path in CHAPTERS}
    lacking = expected - {label for label, _ in solutions()}
    assert not lacking, f"no folded solution with a ```python block and an assert: {lacking}"
    assert expected == WRONG.keys(), "WRONG in this file needs a plausible mistake for each chapter"


@pytest.mark.parametrize("label", [case(label, label) for label in WRONG])
def test_a_wrong_answer_fails(label):
    _, right, wrong = WRONG[label]
    [code] = [code for name, code in solutions() if name == label and right in code]
    assert code.count(right) == 1
    with pytest.raises(AssertionError):
        run(code.replace(right, wrong))
