"""Where the traceback of an unexpected error goes: a log file, secrets redacted; people see one line."""

from __future__ import annotations

import traceback
from datetime import datetime
from pathlib import Path

from flows.redaction import redact


def keep_traceback(error: Exception, logs_dir: Path | None, *, at: datetime) -> str:
    """Write the traceback to a file of `logs_dir`; return the line that names it, or the text itself."""
    text = redact("".join(traceback.format_exception(error)))
    if logs_dir is not None:
        path = logs_dir / f"error-{at:%Y%m%dT%H%M%S}Z.log"
        try:
            logs_dir.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError:
            pass
        else:
            return f"an unexpected error ({type(error).__name__}). The details are in {path}"
    return f"an unexpected error, and no log could be written.\n{text}"
