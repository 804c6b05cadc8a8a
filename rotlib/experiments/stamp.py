"""The ``.json`` beside a table: with what, and by which runs, the table was made."""

import functools
import json
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

import rotlib
from rotlib.experiments.table import provenance, write_atomically


def earlier_runs(path: Path, made_with: dict) -> list[dict]:
    """The runs that added to the table at ``path`` so far; none if it has no ``.json``.

    Raises:
        ValueError: if the table was made with something else, such as another device.
    """
    if not path.with_suffix(".json").exists():
        return []
    made = provenance(path)
    for name in sorted((made.keys() | made_with.keys()) - {"runs"}):
        was, is_now = made.get(name), made_with.get(name)
        if was != is_now:
            raise ValueError(
                f"{path} was made with {name} {was!r}, not {is_now!r}; give another name"
            )
    return made["runs"]


@functools.cache
def commit_of_the_code() -> str | None:
    """The commit, with ``-dirty`` if the code was changed since; ``None`` outside of git."""

    def git(*arguments: str) -> str:
        folder = Path(rotlib.__file__).parent
        done = subprocess.run(
            ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # an installed copy has no commit
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def write_stamp(path: Path, made_with: dict, earlier: list[dict], run: dict) -> None:
    """Write the ``.json`` beside the table at ``path``: the earlier runs, and this one.

    A run that goes on with an earlier one, by the same command and the same code, adds its
    minutes to it.

    Args:
        run: what the caller knows of it, in this order before the versions; with ``minutes``.
    """
    run = {
        **run,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit_of_the_code(),
        "rotlib": version("rotlib"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }
    progress = {name: run[name] for name in ("date", "minutes")}
    begun = [old for old in earlier if old | progress == run]
    minutes = round(run["minutes"] + sum(old["minutes"] for old in begun), 1)
    runs = [old for old in earlier if old not in begun] + [run | {"minutes": minutes}]
    stamp = json.dumps({**made_with, "runs": runs}, indent=2)
    write_atomically(path.with_suffix(".json"), stamp + "\n")
