"""The one place that knows the browser: Chromium or Chrome, as installed on this machine.

``python book/browser.py`` prints where it is, and exits with 1 where there is none. It needs
nothing but Python, so that a script can ask before anything is installed.
"""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = f"none of {', '.join(NAMES)} is installed"


def find() -> str | None:
    """Path of the first browser that is installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def launch(playwright):
    """Start it without a window; Playwright's own flags keep it from calling home."""
    program = find()
    if program is None:
        raise SystemExit(MISSING)
    return playwright.chromium.launch(executable_path=program, args=["--disable-gpu"])


if __name__ == "__main__":
    if find() is None:
        raise SystemExit(MISSING)
    print(find())
