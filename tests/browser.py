"""Pages as a person meets them: files in a headless Chromium, and all that they ask for and complain of."""

from collections.abc import Iterator
import contextlib
import pathlib
import shutil
from typing import NamedTuple

from playwright import sync_api

# By these names systems have it.
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
DESKTOP, PHONE = 1280, 400


class Opened(NamedTuple):
    """A page that is open.

    Attributes:
        page: of Playwright.
        errors: what the console has of errors and warnings, and what the page's scripts have raised.
        requests: all addresses that it has asked for, its own first.
    """

    page: sync_api.Page
    errors: list[str]
    requests: list[str]

    @property
    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


class BrowserTests:
    """Mixed into a test's class: a browser for all of its tests, and `open`, which a test calls for each page."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._browsers = contextlib.ExitStack()
        cls.addClassCleanup(cls._browsers.close)
        cls._browser = cls._browsers.enter_context(launched())

    def open(self, path: pathlib.Path, width: int = DESKTOP) -> Opened:
        """Opens a file, in a window of its own that is closed when the test ends."""
        context = self._browser.new_context(viewport={"width": width, "height": 800})
        self.addCleanup(context.close)
        opened = Opened(context.new_page(), [], [])
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
        opened.page.on(
            "console", lambda said: opened.errors.append(said.text) if said.type in ("error", "warning") else None
        )
        opened.page.goto(pathlib.Path(path).resolve().as_uri(), wait_until="load")
        return opened


@contextlib.contextmanager
def launched() -> Iterator[sync_api.Browser]:
    """A browser, for as long as it is needed."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise AssertionError(f"no browser: install Chromium (apt-get install chromium), found as {', '.join(NAMES)}")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        try:
            yield browser
        finally:
            browser.close()
