"""Execute the chapters in place so that doing it twice gives the same bytes.

Run as ``python book/execute_notebooks.py [chapters/NN_name.ipynb ...]``; without arguments, all.
How long each took, and how much memory, goes into ``book/execution.json``.
"""

import json
import platform
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

CHAPTERS = Path(__file__).resolve().parents[1] / "chapters"
STATUS = Path(__file__).resolve().parent / "execution.json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# The same for every machine: no minor version of Python, no name of somebody's environment.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"},
}


def normalise(notebook):
    """Drop what depends on the machine or the moment, and number the cells."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number:02d}"
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            # A stored widget has no kernel to talk to; the player next to it needs none.
            output.get("data", {}).pop(WIDGET_VIEW, None)
            output.get("metadata", {}).pop(WIDGET_VIEW, None)
    return notebook


def peak_megabytes(pid):
    """Most memory that a process has held so far; ``None`` where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) // 1000


def execute(path):
    """Execute one notebook from a fresh kernel and write it back, if no cell fails."""
    notebook = nbformat.read(path, as_version=4)
    peaks = []
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=600,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,  # how prints are cut into messages depends on the machine's load
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_executed=lambda **_: peaks.append(peak_megabytes(client.km.provisioner.pid)),
    )
    start = time.perf_counter()
    client.execute()
    seconds = time.perf_counter() - start
    normalise(notebook)
    nbformat.validate(notebook)
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    return {
        "date": time.strftime("%Y-%m-%d"),
        "megabytes": peaks[-1] if peaks else None,
        "python": platform.python_version(),
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    status = json.loads(STATUS.read_text(encoding="utf-8")) if STATUS.exists() else {}
    for path in [Path(name) for name in sys.argv[1:]] or sorted(CHAPTERS.glob("*.ipynb")):
        status[path.stem] = execute(path)
        print(f"{path.name}: {status[path.stem]['seconds']:.0f} s")
    status = {path.stem: status[path.stem] for path in sorted(CHAPTERS.glob("*.ipynb"))}
    STATUS.write_text(json.dumps(status, indent=2) + "\n", encoding="utf-8")
