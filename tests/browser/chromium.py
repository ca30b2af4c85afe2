"""A real Chromium for tests of pages: what it shows, what it asks for, what it complains of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect, sync_playwright

Scheme = Literal["light", "dark"]

# Milliseconds that a page may take to show what is expected: two workers share two noisy cores.
expect.set_options(timeout=15_000)

_ARGUMENTS = (
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# The cells whose content is wider than they are and goes on into the next, by more than rounding.
_FULL_CELLS = """
Array.from(document.querySelectorAll("th, td"))
  .filter(cell => getComputedStyle(cell).overflow === "visible" && cell.scrollWidth > cell.clientWidth + 1)
  .map(cell => cell.innerText)
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of showing a page."""

    requests: tuple[str, ...]
    complaints: tuple[str, ...]
    # how many pixels the page is wider than the window
    overflow: int
    full_cells: tuple[str, ...]
    violations: tuple[str, ...]
    screenshot: bytes


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's browser, without a window; ends with the block."""
    path = shutil.which("chromium")
    assert path, "these tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS), headless=True)
        try:
            yield browser
        finally:
            browser.close()


def look(browser: Browser, page_path: Path, *, width: int, scheme: Scheme, height: int = 900) -> Seen:
    """Show a page, note what it did, and let axe judge it."""
    # the pages forbid every script, axe's included
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, bypass_csp=True
    )
    try:
        page = context.new_page()
        requests: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(page_path.as_uri())
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        full_cells = tuple(page.evaluate(_FULL_CELLS))
        screenshot = page.screenshot(full_page=True)
        found = Axe().run(
            page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
        )
        violations = tuple(
            f"{violation['id']}: {node['html'][:160]}"
            for violation in found.response["violations"]
            for node in violation["nodes"]
        )
        asked = tuple(url for url in requests if url != page_path.as_uri() and not url.startswith("data:"))
        return Seen(asked, tuple(complaints), max(0, int(overflow)), full_cells, violations, screenshot)
    finally:
        context.close()
