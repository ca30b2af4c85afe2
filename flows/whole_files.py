"""Files that people read while others write them: each is the old one or the new one, never half."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from flows.failpoints import failpoint


def write_whole(path: Path, content: bytes, *, before_replace: str | None = None) -> None:
    """Put a file in place whole or not at all; `before_replace` names the failpoint just before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # mkstemp makes it the owner's alone; a page is as readable as its folder
        os.chmod(temporary, 0o644)
        if before_replace is not None:
            failpoint(before_replace)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
