"""The repository as a stranger finds it: no machine's paths, no secrets, a true map, true pins."""

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch

import rotlib

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
    assert not fresh & {"numba", "pandas", "scipy", "matplotlib", "IPython", "joblib", "tqdm"}
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


#: What a module of the library may import: only what stands on an earlier line.
FLOORS = (
    ("_input", "_numerics", "check"),
    ("matrix", "svd", "_nearest.eigenvector", "_nearest.formula", "_nearest.newton"),
    ("quaternion", "_nearest.loop"),
    ("rotvec", "euler", "distance", "_nearest.refused"),
    ("_nearest.function",),
    ("orthogonalize",),
    ("codes", "stabilized", "alignment"),
    ("jacobians",),
    ("__init__",),
    ("experiments.surrogates", "experiments.clouds", "experiments.solids", "experiments.networks"),
    ("experiments.skeleton", "experiments.cubes", "experiments.protocol"),
    ("experiments.motions", "experiments.heads", "experiments.confidence", "experiments.table"),
    ("experiments.tasks",),
    ("experiments.diagnostics", "experiments.run", "experiments.stamp"),
    ("experiments.training",),
    ("experiments.entry",),
    ("experiments.plan",),
    ("experiments.flags",),
    ("experiments.sweep",),
)


def imported_modules(name):
    """The modules of the library that one of its files imports, wherever it says so."""
    for node in ast.walk(ast.parse(text_of(name))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rotlib":
            module = node.module.removeprefix("rotlib").lstrip(".")
            inside = [".".join(filter(None, (module, alias.name))) for alias in node.names]
            yield from (m if is_module(m) else module or "__init__" for m in inside)
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.split(".")[0] == "rotlib"]
            yield from (name.removeprefix("rotlib").lstrip(".") or "__init__" for name in names)


def is_module(dotted):
    return (ROOT / "rotlib" / f"{dotted.replace('.', '/')}.py").is_file()


def test_imports_of_the_library_go_down():
    floor = {module: n for n, modules in enumerate(FLOORS) for module in modules}
    upwards = []
    for path in sorted((ROOT / "rotlib").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT / "rotlib").with_suffix("").parts)
        if module.endswith(".__init__"):
            continue
        assert module in floor, f"rotlib/{module}: give it a floor in FLOORS, above what it imports"
        for other in imported_modules(path.relative_to(ROOT)):
            if floor[other] >= floor[module]:
                upwards.append(f"{module} imports {other}, which does not stand below it")
    assert not upwards


def test_no_module_is_long():
    """What does not fit into 400 lines holds more than one thing."""
    homes = ("rotlib/", "figures/", "claims/", "assignments/grading/")
    modules = [name for name in tracked_files() if name.startswith(homes) and name.endswith(".py")]
    assert len(modules) > 50
    lengths = {name: len(text_of(name).splitlines()) for name in modules}
    assert not {name: n for name, n in lengths.items() if n > 400}, "split them by what they hold"


def test_every_public_function_is_on_the_page_of_the_library():
    page = text_of("book/api.md").split()
    for name in set(rotlib.__all__) - {"DERIVATIVES"}:
        assert name in page, f"{name}: add it to its module's autosummary in book/api.md"


def test_full_precision_keeps_the_signature_and_takes_keywords():
    assert list(inspect.signature(rotlib.euler_to_matrix).parameters) == ["angles", "order"]
    angles = torch.tensor([0.1, 0.2, 0.3])
    with torch.autocast("cpu", torch.bfloat16):
        R = rotlib.euler_to_matrix(order="XYZ", angles=angles)
    assert torch.equal(R, rotlib.euler_to_matrix(angles, "XYZ"))


def test_the_wheel_says_that_it_is_typed():
    assert (ROOT / "rotlib" / "py.typed").is_file()
    setup = tomllib.loads(text_of("pyproject.toml"))["tool"]["setuptools"]
    assert setup["package-data"]["rotlib"] == ["py.typed"]
