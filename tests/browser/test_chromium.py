"""The browser that judges pages sees their faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.chromium import chromium, look


def test_a_fault_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        "<!DOCTYPE html><html><title>t</title><body><img src='http://127.0.0.1:9/x.png'>"
        "<p style='width: 2000px; color: #ccc'>faint</p>"
        "<table style='table-layout: fixed; width: 60px'><tr><td>$1,147,836.24<td>x</table></body></html>",
        encoding="utf-8",
    )
    with chromium() as browser:
        seen = look(browser, page, width=375, scheme="light")
    broken = {violation.partition(":")[0] for violation in seen.violations}
    assert {"image-alt", "html-has-lang", "color-contrast"} <= broken
    assert seen.requests == ("http://127.0.0.1:9/x.png",)
    assert seen.complaints
    assert seen.overflow > 1000
    assert seen.full_cells == ("$1,147,836.24",)


def test_a_missing_browser_is_a_failure_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(AssertionError, match="apt-get install chromium"), chromium():
        pass
