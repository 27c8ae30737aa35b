"""A real browser: the system's Chromium, driven by Playwright. Run by ``make test-browser``.

A test asks for `page`, or for `pages` if it wants another window: a phone's, a dark one. An
app is served by `serve`, which takes any ASGI app; the whole demo is at `demo_address`. When
a test fails, what each of its pages showed last is in ``.screenshots/``.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

import asyncjobs
from tests.dashboard.sites import served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(asyncjobs.__file__).parents[1]
SCREENSHOTS = ROOT / ".screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
PATIENCE = 30_000
"""Milliseconds until something that has not happened counts as never happening."""
EXPECTED = re.compile(r"Failed to load resource: .* status of 4\d\d")
"""What the console says of an answer that the test has asked for."""

sys.path.append(str(ROOT / "examples" / "fastapi_app"))
expect.set_options(timeout=PATIENCE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


FAILED = pytest.StashKey[bool]()


class Pages:
    """Opens the pages of one test, and keeps an eye on them."""

    def __init__(self, browser: Browser, closing: ExitStack) -> None:
        self._browser, self._closing = browser, closing
        self.opened: list[Page] = []
        self.problems: list[str] = []
        """Errors of scripts, and what else the console calls an error."""

    def open(self, **options: Any) -> Page:
        """Return a page in a fresh window; the options are those of Browser.new_context."""
        context = self._browser.new_context(**options)
        self._closing.callback(context.close)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._hear)
        self.opened.append(page)
        return page

    def _hear(self, message: Any) -> None:
        if message.type == "error" and not EXPECTED.match(message.text):
            self.problems.append(message.text)

    def save(self, name: str) -> None:
        """Save what the pages show now."""
        SCREENSHOTS.mkdir(exist_ok=True)
        for number, page in enumerate(self.opened):
            file = re.sub(r"[^\w-]+", "_", f"{name}-{number}") + ".png"
            page.screenshot(path=SCREENSHOTS / file, full_page=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser, for the whole session."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.exit("there is no Chromium here: run `make test-browser`, which installs it", 1)
    with (
        tempfile.TemporaryDirectory(prefix="asyncjobs-browser-") as home,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=found, args=ARGUMENTS, env={**os.environ, "HOME": home}
        )
        yield browser
        browser.close()


@pytest.fixture
def pages(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Pages]:
    """Opens pages. A test whose pages have errors in their scripts fails."""
    with ExitStack() as closing:
        pages = Pages(browser, closing)
        yield pages
        if request.node.stash.get(FAILED, True) or pages.problems:
            pages.save(request.node.nodeid.rpartition("/")[2])
    assert not pages.problems


@pytest.fixture
def page(pages: Pages) -> Page:
    """One page, as on a desk."""
    return pages.open(viewport={"width": 1200, "height": 900})


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def demo_address() -> Iterator[str]:
    """The address of the example app, with its mail server, its database and its workers."""
    from demo_process import run_demo

    hidden = ("ASYNCJOBS_DATABASE_URL", "DATABASE_URL")
    environment = {name: text for name, text in os.environ.items() if name not in hidden}
    quick = {"TIPS_WAIT": "10", "CRM_BACKOFF": "0.5", "PYTHONPATH": str(ROOT)}
    with run_demo(environment | quick) as demo:
        yield demo.address


@pytest.fixture
def serve() -> Iterator[Callable[[Any], str]]:
    """A function that serves an ASGI app for the rest of the test and returns its address."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(served(app))
