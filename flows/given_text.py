"""Names and reasons that people give with a command, which others read later."""

from __future__ import annotations

from flows.errors import UsageError

LONGEST_TEXT = 500  # characters


def said(text: str, what: str) -> str:
    """The text on one line. Raises UsageError, which names `what` is to be said, for none and for control
    characters."""
    line = " ".join(text.split())
    if not line or len(line) > LONGEST_TEXT or not line.isprintable():
        raise UsageError(f"Say {what}, in at most {LONGEST_TEXT} characters.")
    return line
