"""Turn a run of ``make bench`` into results/speed.csv, and measure results/accuracy.csv."""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import roma
import torch
from hard_cases import exact, hard_cases
from methods import METHODS

from rotlib.experiments.table import write_atomically

RESULTS = Path(__file__).resolve().parents[1] / "results"
KEYS = ["device", "threads", "direction", "dtype", "batch", "method"]
ITEMS = 100


def speed(run: dict) -> pd.DataFrame:
    """Nanoseconds for one matrix (or one item of a training step), best and middle round."""
    rows = [
        {key: bench["extra_info"][key] for key in KEYS}
        | {
            f"{name}_ns": round(bench["stats"][statistic] / bench["extra_info"]["batch"] * 1e9, 2)
            for name, statistic in (("best", "min"), ("median", "median"))
        }
        for bench in run["benchmarks"]
    ]
    return pd.DataFrame(rows).sort_values(KEYS)


def accuracy(items: int = ITEMS) -> pd.DataFrame:
    """Largest error of each class in units of eps s1 / (s2 + s3), against fifty digits.

    ``value`` is the Frobenius norm of the error of R; ``gradient`` that of the gradient's, divided
    by the largest gain 2 / (s2 + s3) and by the norm of the gradient that came in.
    """
    rows = []
    for dtype in (torch.float32, torch.float64):
        generator = torch.Generator().manual_seed(20)
        for case, M in hard_cases(items, generator).items():
            M = M.to(dtype)
            G = torch.randn(items, 3, 3, generator=generator, dtype=dtype)
            answers = [exact(m, g) for m, g in zip(M, G, strict=True)]
            values, gradients, conditioning, gaps = zip(*answers, strict=True)
            truth = torch.stack(values), torch.stack(gradients)
            unit = torch.finfo(dtype).eps * torch.tensor(conditioning)
            gain = 2 / torch.tensor(gaps, dtype=torch.float64)
            gain *= torch.linalg.matrix_norm(G.double())
            for method in ("rotlib", "SVD + autograd", "SVD + closed form", "RoMa"):
                x = M.clone().requires_grad_()
                R = METHODS[method](x)
                (ours,) = torch.autograd.grad(R, x, G)
                value, gradient = (
                    torch.linalg.matrix_norm(found.detach().double() - expected)
                    for found, expected in zip((R, ours), truth, strict=True)
                )
                errors = {"value": value / unit, "gradient": gradient / gain / unit}
                rows.append(
                    {"dtype": str(dtype).removeprefix("torch."), "case": case, "method": method}
                    | {k: float(f"{v.nan_to_num(torch.inf).max():.2g}") for k, v in errors.items()}
                )
    return pd.DataFrame(rows)


FIRST_CALL = """
import time, torch, rotlib
M = torch.randn(4, 3, 3).requires_grad_()
start = time.perf_counter()
rotlib.svd_orthogonalize(M).sum().backward()
print(time.perf_counter() - start)
"""


def first_calls() -> dict:
    """Seconds of the first call, forward and back, on a new machine and in a later process."""
    with tempfile.TemporaryDirectory() as cache:
        command, env = [sys.executable, "-c", FIRST_CALL], os.environ | {"NUMBA_CACHE_DIR": cache}
        new, later = (
            subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
            for _ in range(2)
        )
    return {"first_call_s": round(float(new), 1), "later_first_call_s": round(float(later), 2)}


def write(name: str, table: pd.DataFrame, **facts: object) -> None:
    write_atomically(RESULTS / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
    made = {"command": "make bench", "date": datetime.date.today().isoformat(), **facts}
    made |= {"torch": torch.__version__, "roma": roma.__version__, "numpy": np.__version__}
    made |= {"python": platform.python_version(), "machine": platform.machine()}
    write_atomically(RESULTS / f"{name}.json", json.dumps(made, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("json", type=Path, help="what pytest-benchmark wrote")
    run = json.loads(parser.parse_args().json.read_text(encoding="utf-8"))
    cpu = run["machine_info"]["cpu"]
    facts = {"processor": cpu.get("brand_raw", "unknown"), "device": "cpu"}
    write("speed", speed(run), **facts, **first_calls())
    write("accuracy", accuracy(), items=ITEMS, seed=20, device="cpu")


if __name__ == "__main__":
    sys.exit(main())
