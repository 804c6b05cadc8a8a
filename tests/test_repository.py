"""Buttons lead to the book's own repository or nowhere."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import repository

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/ada/turns",
        "https://github.com/ada/turns.git",
        "https://github.com/ada/turns/",
        "http://github.com/ada/turns",
        "https://ada:secret@github.com/ada/turns.git",
        "https://x-access-token:secret@github.com/ada/turns",
        "git@github.com:ada/turns.git",
        "github.com:ada/turns",
        "ssh://git@github.com/ada/turns.git",
        "ssh://git@github.com:22/ada/turns.git",
        "git+ssh://git@github.com/ada/turns\n",
    ],
)
def test_every_spelling_of_a_remote_is_one_address(remote):
    assert repository.normalise(remote) == "https://github.com/ada/turns"


def test_other_hosts_keep_their_name():
    address = "https://gitlab.example.org/group/part/turns"
    assert repository.normalise("git@gitlab.example.org:group/part/turns.git") == address


@pytest.mark.parametrize(
    "remote",
    [
        "",
        "/srv/git/turns.git",
        "../turns",
        "file:///srv/git/turns",
        "C:\\books\\turns",
        "git://localhost/turns",
        "https://github.com/ada",
        "https://example.org/ada/turns",
    ],
)
def test_a_remote_without_a_page_is_unknown(remote):
    assert repository.normalise(remote) is None


def test_environment_comes_before_git(monkeypatch):
    monkeypatch.setattr(repository, "git", lambda *_: "https://github.com/from/git")
    by_git = {}
    by_workflow = {"GITHUB_REPOSITORY": "from/workflow"}
    by_hand = {**by_workflow, "BOOK_REPOSITORY_URL": "git@github.com:from/hand.git"}
    found = [repository.find_repository(ROOT, e) for e in (by_git, by_workflow, by_hand)]
    assert [address.split("/")[-1] for address in found] == ["git", "workflow", "hand"]


def test_branch_of_a_detached_checkout_is_main(monkeypatch):
    monkeypatch.setattr(repository, "git", lambda *_: "HEAD")
    assert repository.find_branch(ROOT, {}) == "main"
    assert repository.find_branch(ROOT, {"GITHUB_REF_NAME": "draft"}) == "draft"
    both = {"GITHUB_REF_NAME": "draft", "BOOK_REPOSITORY_BRANCH": "print"}
    assert repository.find_branch(ROOT, both) == "print"


def buttons(monkeypatch, url):
    monkeypatch.setattr(repository, "find_repository", lambda _: url)
    app = SimpleNamespace(srcdir=ROOT, events=SimpleNamespace(listeners={}))
    config = SimpleNamespace(html_theme_options={})
    repository.set_buttons(app, config)
    return config.html_theme_options


def test_an_unknown_repository_has_no_buttons(monkeypatch):
    assert buttons(monkeypatch, None) == {}


def test_a_known_repository_has_all_buttons(monkeypatch):
    options = buttons(monkeypatch, "https://github.com/ada/turns")
    assert options["repository_url"] == "https://github.com/ada/turns"
    assert options["launch_buttons"]["thebe"]
    assert options["launch_buttons"]["notebook_interface"] == "jupyterlab"
    assert not buttons(monkeypatch, "https://gitlab.com/ada/turns")["launch_buttons"]["thebe"]


def test_make_sweep_gives_no_flag_without_its_value():
    command = ["make", "-n", "sweep", "TABLES=wahba"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    (line,) = [text for text in done.stdout.replace("\\\n", " ").splitlines() if "--plan" in text]
    words = line.split()
    assert words[-1] == "wahba"
    for flag in {"--clouds", "--motions", "--device"} & set(words):
        value = words[words.index(flag) + 1]
        assert not value.startswith("--") and value != "wahba", f"{flag} {value}"
