"""Buttons that lead to this book's own repository, whoever's copy it is.

The address is, in order, ``BOOK_REPOSITORY_URL``, ``GITHUB_REPOSITORY`` (set by GitHub's
workflows) or the git remote ``origin``. Without one there are no buttons: a button that leads to
somebody else's repository is worse than none.
"""

import os
import re
import subprocess
from urllib.parse import urlsplit

# The hosts for which the theme knows how to write an edit link and a Binder link.
HOSTS = ("github", "gitlab")


def normalise(remote):
    """Turn any spelling of a remote into ``https://host/owner/name``; ``None`` if it has no page.

    Drops user names, tokens, ports of ssh and ``.git``. A path on a disk has no page.
    """
    remote = remote.strip()
    short_ssh = re.fullmatch(r"(?:[^@/\s]+@)?([\w-]+(?:\.[\w-]+)+):(?!//)/?(.+)", remote)
    if short_ssh:
        host, path = short_ssh.groups()
    else:
        parts = urlsplit(remote)
        if parts.scheme not in ("http", "https", "ssh", "git+ssh") or not parts.hostname:
            return None
        host, path = parts.hostname, parts.path
    path = path.strip("/").removesuffix(".git")
    if path.count("/") < 1 or not any(name in host for name in HOSTS):
        return None
    return f"https://{host}/{path}"


def git(folder, *arguments):
    """Output of a git command, empty where git or the repository is missing."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def find_repository(folder, environment=os.environ):
    """Address of the repository's page, or ``None``."""
    if environment.get("BOOK_REPOSITORY_URL"):
        return normalise(environment["BOOK_REPOSITORY_URL"])
    if environment.get("GITHUB_REPOSITORY"):
        server = environment.get("GITHUB_SERVER_URL", "https://github.com")
        return normalise(f"{server}/{environment['GITHUB_REPOSITORY']}")
    return normalise(git(folder, "remote", "get-url", "origin"))


def find_branch(folder, environment=os.environ):
    """Name of the branch that the buttons open."""
    for name in ("BOOK_REPOSITORY_BRANCH", "GITHUB_REF_NAME"):
        if environment.get(name):
            return environment[name]
    branch = git(folder, "rev-parse", "--abbrev-ref", "HEAD")
    return "main" if branch in ("", "HEAD") else branch


def switch_off_thebe(app):
    # Without a repository sphinx-thebe would write an example's repository into every page.
    # Its static files stay, because every page links its style sheet.
    for listeners in list(app.events.listeners.values()):
        for listener in list(listeners):
            if listener.handler.__module__ == "sphinx_thebe":
                if listener.handler.__name__ != "st_static_path":
                    app.disconnect(listener.id)


def set_buttons(app, config):
    options = config.html_theme_options
    url = find_repository(app.srcdir)
    if url is None:
        options.pop("launch_buttons", None)
        switch_off_thebe(app)
        return
    options["repository_url"] = url
    options["repository_branch"] = find_branch(app.srcdir)
    options["use_repository_button"] = True
    options["use_issues_button"] = True
    options["use_edit_page_button"] = True
    options["launch_buttons"] = {
        "binderhub_url": "https://mybinder.org",
        "notebook_interface": "jupyterlab",
        "thebe": urlsplit(url).hostname == "github.com",
    }
    if not options["launch_buttons"]["thebe"]:
        switch_off_thebe(app)


def setup(app):
    app.connect("config-inited", set_buttons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
