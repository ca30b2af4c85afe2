"""The blocks of docs/analysts.md, which tests run as they are printed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.published import ROOT

PAGE = ROOT / "docs" / "analysts.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block: its kind, its text, and where it begins."""

    kind: str
    text: str
    line: int

    @property
    def is_for_postgres(self) -> bool:
        return "psycopg" in self.text

    def __str__(self) -> str:
        return f"line {self.line}"


def blocks(kind: str | None = None) -> list[Block]:
    """Those of a kind, or all, in the page's order."""
    page = PAGE.read_text(encoding="utf-8")
    found = [
        Block(match[1], match[2], page.count("\n", 0, match.start()) + 1) for match in _BLOCK.finditer(page)
    ]
    assert len(found) * 2 == len(re.findall("^```", page, re.MULTILINE)), "a block has no kind, or no end"
    return [block for block in found if kind in (None, block.kind)]
