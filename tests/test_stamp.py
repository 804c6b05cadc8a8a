"""The .json beside a table: which code made it, and which runs are one."""

import subprocess

import pytest

from rotlib.experiments import stamp
from rotlib.experiments.table import provenance

MADE_WITH = {"device": "cpu", "clouds": None}


@pytest.fixture
def git(tmp_path, monkeypatch):
    """A folder that stands for the repository, with ``rotlib`` in it; returns git's command."""
    (tmp_path / "rotlib").mkdir()
    (tmp_path / "rotlib" / "__init__.py").write_text("")
    monkeypatch.setattr(stamp.rotlib, "__file__", str(tmp_path / "rotlib" / "__init__.py"))
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]

    def run(*arguments):
        command = ["git", *who, *arguments]
        done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    return run


def test_the_commit_is_that_of_the_code_if_git_knows_it(tmp_path, git):
    commit = stamp.commit_of_the_code.__wrapped__
    assert commit() is None
    git("init")
    (tmp_path / "README").write_text("")
    git("add", "README")
    git("commit", "-m", "none of the code")
    assert commit() is None  # such as an installed copy in somebody's repository
    git("add", "rotlib")
    git("commit", "-m", "the code")
    assert commit() == git("rev-parse", "HEAD")
    (tmp_path / "README").write_text("a table, too, changes while it is made")
    assert commit() == git("rev-parse", "HEAD")
    (tmp_path / "rotlib" / "__init__.py").write_text("a = 1\n")
    assert commit() == git("rev-parse", "HEAD") + "-dirty"


def test_a_run_that_goes_on_adds_its_minutes_if_its_code_is_the_same(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"

    def write(commit, minutes, entry="a"):
        monkeypatch.setattr(stamp, "commit_of_the_code", lambda: commit)
        run = {"entry": entry, "command": "c", "minutes": minutes}
        stamp.write_stamp(path, MADE_WITH, stamp.earlier_runs(path, MADE_WITH), run)
        return [(r["commit"], r["entry"], r["minutes"]) for r in provenance(path)["runs"]]

    assert write("1", 2.04) == [("1", "a", 2.0)]
    assert write("1", 1.5) == [("1", "a", 3.5)]
    assert write("2", 1.0) == [("1", "a", 3.5), ("2", "a", 1.0)]
    assert write("2", 1.0, "b") == [("1", "a", 3.5), ("2", "a", 1.0), ("2", "b", 1.0)]
