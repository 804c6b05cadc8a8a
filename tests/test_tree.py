"""The repository as a stranger finds it: no machine's paths, no secrets, a true map, true pins."""

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# The names are put together here, so that this file does not hold what it forbids.
MACHINE_PATH = re.compile(r"(?<![\w.:/~])/(?:root|home|tmp|Users)" + r"/\w")
PICTURE = re.compile(r"(?<=data:image/webp;base64,)[A-Za-z0-9+/=]+")
SECRET = re.compile(r"gh[opsu]_\w{30,}|github_pat_\w{30,}|-----BEGIN [A-Z ]*PRIVATE KEY|AKIA\w{16}")


def tracked_files():
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others"]
    done = subprocess.run([*command, "--exclude-standard"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [name for name in done.stdout.split("\0") if (ROOT / name).is_file()]


def text_of(name):
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def problems(text):
    text = PICTURE.sub("", text)  # long enough to spell anything by chance
    return [match.group() for form in (MACHINE_PATH, SECRET) for match in form.finditer(text)]


def test_no_machine_path_and_no_secret():
    found = {name: problems(text_of(name)) for name in tracked_files()}
    assert not {name: hits for name, hits in found.items() if hits}


@pytest.mark.parametrize("text", ['"/ro' + 'ot/x"', "at /ho" + "me/ada/x", "gh" + "p_" + "a" * 36])
def test_the_search_finds_what_it_forbids(text):
    assert problems(text)


def test_the_search_passes_addresses():
    assert not problems("https://example.org/home/ada, book/home/ada and ~/tmp/x")


def test_readme_names_every_top_level_entry():
    readme = text_of("README.md")
    names = {name.split("/")[0] for name in tracked_files()} - {"README.md", ".gitignore"}
    assert not {name for name in names if name not in readme}


def pins(name):
    return dict(re.findall(r"^([\w-]+)==(\S+)$", text_of(name), re.MULTILINE))


def test_binder_has_the_versions_of_requirements():
    book, binder = pins("requirements.txt"), pins("binder/requirements.txt")
    assert binder
    assert binder.items() <= book.items()


def test_every_requirement_is_pinned():
    lines = [line for line in text_of("requirements.txt").splitlines() if not line.startswith("#")]
    assert len(pins("requirements.txt")) == len(lines)


def test_binder_runs_its_last_step():
    assert (ROOT / "binder" / "postBuild").stat().st_mode & 0o111


def test_the_ground_floor_needs_torch_and_numpy_only():
    """Whoever imports rotlib waits for nothing else: not for pandas, nor for PyTorch's compiler."""
    code = (
        "import sys, torch; before = set(sys.modules); import rotlib; "
        "print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    fresh = {name.split(".")[0] for name in done.stdout.split()}
    assert "rotlib" in fresh
    assert not fresh & {"pandas", "matplotlib", "IPython", "scipy", "joblib", "tqdm", "ipywidgets"}
    assert "torch._dynamo" not in done.stdout.split()


def test_the_library_and_its_experiments_need_no_matplotlib():
    code = """if True:
        import importlib, pkgutil, sys
        sys.modules["matplotlib"] = None
        import rotlib
        for module in pkgutil.walk_packages(rotlib.__path__, "rotlib."):
            importlib.import_module(module.name)
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_wheel_holds_the_library_alone():
    """The figures are the book's: an editable install finds them, see pyproject.toml."""
    found = tomllib.loads(text_of("pyproject.toml"))["tool"]["setuptools"]["packages"]["find"]
    packages = {name.split("/")[0] for name in tracked_files() if name.endswith("__init__.py")}
    assert packages >= {"figures", "rotlib"}
    in_wheel = {name for name in packages if any(fnmatch(name, p) for p in found["include"])}
    assert in_wheel == {"rotlib"}
