"""Execute chapters with every seed shifted by a constant, and list the cells that fail.

    python book/shifted_seeds.py 7 [chapters/NN_name.ipynb ...]

A sentence about training that stands on one draw falls with another. Nothing is written back.
What runs is what a reader runs, but for the first cell, which makes every generator of PyTorch and
NumPy that is seeded with ``s`` one that is seeded with ``s`` plus the shift. The environment is
handed on: ``OMP_NUM_THREADS=4``, ``ATEN_CPU_CAPABILITY=default``.
"""

import argparse
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient

CHAPTERS = Path(__file__).resolve().parents[1] / "chapters"
SHIFT = """
import numpy as np
import torch

def _shifted(seed, shift={shift}):
    return seed + shift

class _Generator(torch.Generator):
    def manual_seed(self, seed):
        return super().manual_seed(_shifted(seed))

torch.Generator = _Generator
torch.manual_seed = lambda seed, plain=torch.manual_seed: plain(_shifted(seed))
np.random.default_rng = lambda seed=None, plain=np.random.default_rng: plain(
    seed if seed is None else _shifted(seed)
)
"""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def failures(path, shift):
    """The cells of the chapter that fail with its seeds shifted: number, and what they say."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SHIFT.format(shift=shift)))
    NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=1200,
        allow_errors=True,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    found = []
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                text = _COLOUR.sub("", "\n".join(output["traceback"]))
                line = next((t for t in text.splitlines() if t.startswith(("-->", "---->"))), "")
                where = line.lstrip("->0123456789 ").strip()
                found.append((number, f"{where}  {output['ename']}: {output['evalue']}".strip()))
    return found


def main(arguments=None):
    """The command line; returns how many chapters have a cell that fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shift", type=int)
    parser.add_argument("chapters", nargs="*", type=Path)
    options = parser.parse_args(arguments)
    paths = [path.resolve() for path in options.chapters] or sorted(CHAPTERS.glob("*.ipynb"))
    workers = max(1, (os.cpu_count() or 1) // int(os.environ.get("OMP_NUM_THREADS", 1)))
    fallen = 0
    with ThreadPoolExecutor(workers) as pool:
        for path, found in zip(
            paths, pool.map(lambda p: failures(p, options.shift), paths), strict=True
        ):
            fallen += bool(found)
            for number, text in found:
                print(f"shift {options.shift}  {path.name}  cell {number}: {text}", flush=True)
    print(f"shift {options.shift}: {fallen} of {len(paths)} chapters fell")
    return fallen


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
