"""What drawing many reviews costs: pages, PDFs and mails in our workers, beside Chromium printing the pages.

One run, side by side, on one machine: `make reviews` (REVIEWS=300). Figures of one run on one machine;
what lasts is the ratio.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.render_workers import run_all
from flows.review_documents import HTML, Documents, Envelope, Order, Sender, make_documents
from tests.browser.chromium import chromium
from tests.unit.review_samples import sample

SENDER = Sender("LLM Almanac <almanac@example.com>", None, "example.com")
SECONDS_BETWEEN_LOOKS = 0.2


def orders(count: int) -> Iterator[Order]:
    for number in range(count):
        name = f"team-{number:04d}"
        envelope = Envelope(f"{name}@example.com", "en-GB")
        yield Order(
            sample("weekly", "team", name), f"team:{name}", "2026-W47", ("en-GB",), SENDER, (envelope,)
        )


class Memory:
    """The most memory that this process and its children held at once, in MB."""

    def __init__(self) -> None:
        self.peak_mb = 0.0


@contextmanager
def watched() -> Iterator[Memory]:
    seen, stop = Memory(), threading.Event()

    def look() -> None:
        while not stop.wait(SECONDS_BETWEEN_LOOKS):
            seen.peak_mb = max(seen.peak_mb, sum(_resident(pid) for pid in _family()) / 2**20)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def _family() -> set[int]:
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family = {os.getpid()}
    for _ in range(len(parents)):
        more = {pid for pid, parent in parents.items() if parent in family} - family
        if not more:
            break
        family |= more
    return family


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def main() -> None:
    """Draw, print, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reviews", type=int, default=300)
    parser.add_argument("--printed", type=int, default=40, help="pages that Chromium prints")
    wanted = parser.parse_args()
    pages: list[bytes] = []
    sizes = 0
    with watched() as ours:
        began = time.monotonic()
        for result in run_all(orders(wanted.reviews), make_documents):
            assert isinstance(result.value, Documents), result.error
            sizes += len(result.value.messages[0].content)
            if len(pages) < wanted.printed:
                pages.append(next(file.content for file in result.value.files if file.name == HTML))
        ours_seconds = time.monotonic() - began
    with tempfile.TemporaryDirectory() as folder, watched() as theirs, chromium() as browser:
        context = browser.new_context()
        page = context.new_page()
        began = time.monotonic()
        for number, content in enumerate(pages):
            path = Path(folder, f"{number}.html")
            path.write_bytes(content)
            page.goto(path.as_uri())
            page.pdf(format="A4", print_background=True, tagged=True)
        theirs_seconds = time.monotonic() - began
    ours_rate = wanted.reviews / ours_seconds * 60
    theirs_rate = len(pages) / theirs_seconds * 60
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{'':34}{'reviews':>8}{'per minute':>12}{'peak MB':>9}")
    print(
        f"{'page, PDF/UA, CSV, mail: 2 workers':34}{wanted.reviews:>8}{ours_rate:>12.0f}{ours.peak_mb:>9.0f}"
    )
    print(f"{'Chromium prints the page: 1':34}{len(pages):>8}{theirs_rate:>12.0f}{theirs.peak_mb:>9.0f}")
    share, mail_kb = ours_rate / theirs_rate, sizes / wanted.reviews / 1e3
    print(f"Ours is {share:.2f} of Chromium's rate; a mail has {mail_kb:.0f} kB.")


if __name__ == "__main__":
    main()
