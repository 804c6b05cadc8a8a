"""Real clouds of points from a folder of files."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Generator, Tensor

SUFFIXES = (".pts", ".xyz", ".npy", ".off", ".obj", ".ply")
KEPT = 1024
ITEM_POINTS = 64


@dataclass(frozen=True)
class Clouds:
    """``clouds (files, KEPT, 3)``, centred and scaled to reach 1, in three splits by file."""

    clouds: Tensor
    splits: dict[str, Tensor]

    def sample(self, n: int, generator: Generator, split: str) -> Tensor:
        """``(n, ITEM_POINTS, 3)``: random points of random clouds of that split."""
        device = generator.device
        files = self.splits[split].to(device)
        draw = functools.partial(torch.randint, generator=generator, device=device)
        which = files[draw(len(files), (n, 1))]
        return self.clouds.to(device)[which, draw(KEPT, (n, ITEM_POINTS))]


@functools.cache
def read_clouds(folder: Path | str, skip_unreadable: bool = False) -> Clouds:
    """Read every cloud or mesh of a folder and its subfolders.

    Of a mesh, points of its surface are drawn. Each cloud is centred at its mean and scaled so
    that its farthest point is at distance 1; its orientation is kept, so the files should agree
    on what upright means. In the order of their paths, every tenth file is for the test, the one
    after it for validation; with fewer than ten files, each split has them all.

    Args:
        folder: holds ``.pts`` or ``.xyz`` (a point per line), ``.npy`` (an array ``(points, 3)``),
            ``.off``, ``.obj`` or ``.ply`` files.
        skip_unreadable: leave out files that cannot be read, instead of stopping at them.

    Raises:
        ValueError: if there is no such file, or some cannot be read or hold fewer than four
            distinct points; names each, and says why.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"clouds: {folder} is not a folder")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise ValueError(f"clouds: {folder} holds no file ending in {', '.join(SUFFIXES)}")
    clouds, bad = [], []
    for path in paths:
        try:
            clouds.append(_kept_points(_read(path)))
        except Exception as error:  # readers of foreign formats raise what they like
            bad.append(f"{path.relative_to(folder)}: {error}")
    if bad and not (skip_unreadable and clouds):
        raise ValueError(
            f"clouds: {len(bad)} of {len(paths)} files cannot be used:\n  " + "\n  ".join(bad)
        )
    every = torch.arange(len(clouds))
    splits: dict[str, Tensor]
    if len(clouds) < 10:
        splits = dict.fromkeys(("train", "validation", "test"), every)
    else:
        rest = every % 10
        splits = {
            "train": every[rest > 1],
            "validation": every[rest == 1],
            "test": every[rest == 0],
        }
    return Clouds(torch.from_numpy(np.stack(clouds)), splits)


def _read(path: Path) -> np.ndarray:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return np.load(path, allow_pickle=False)
    if suffix in (".pts", ".xyz"):
        lines = path.read_text(encoding="utf-8-sig").split("\n")
        rows = [line.replace(",", " ").split() for line in lines if line.strip()]
        if rows and len(rows[0]) == 1:  # some programs write the number of points first
            rows = rows[1:]
        return np.array([row[:3] for row in rows], dtype=np.float64)
    import trimesh

    shape = trimesh.load(path, process=False)
    if isinstance(shape, trimesh.Scene):
        shape = shape.to_mesh()
    if isinstance(shape, trimesh.Trimesh) and len(shape.faces):
        return trimesh.sample.sample_surface(shape, KEPT, seed=0)[0]
    return np.asarray(cast(trimesh.PointCloud, shape).vertices)


def _kept_points(cloud: np.ndarray) -> np.ndarray:
    if cloud.ndim != 2 or cloud.shape[-1] != 3:
        raise ValueError(f"expected points of three coordinates, got an array {cloud.shape}")
    real = np.issubdtype(cloud.dtype, np.integer) or np.issubdtype(cloud.dtype, np.floating)
    if not real or not np.isfinite(cloud).all():
        raise ValueError("a coordinate is not a finite real number")
    cloud = cloud.astype(np.float64)
    distinct = len(np.unique(cloud, axis=0))
    if distinct < 4:
        raise ValueError(f"{distinct} distinct points; a cloud needs four")
    rows = np.random.default_rng(0).permutation(max(len(cloud), KEPT))[:KEPT] % len(cloud)
    largest = np.abs(cloud).max()  # first to size 1, so that no square overflows
    cloud = cloud / largest - (cloud / largest).mean(0)
    return (cloud[rows] / np.linalg.norm(cloud, axis=1).max()).astype(np.float32)
