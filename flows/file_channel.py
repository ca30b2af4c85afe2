"""The channel that sends nothing: each message becomes a file, a mail one that mail programs open (.eml)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from flows.channels import MAIL, Parcel, TryLater
from flows.review_scopes import parse_scope

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class FileChannel:
    """Writes below one folder, and nowhere else."""

    name = "file"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path_of(self, parcel: Parcel) -> Path:
        """Where a parcel is written: made of letters, digits, - and _ alone."""
        who = _UNSAFE.sub("-", parcel.recipient)[:40].strip("-")
        mark = hashlib.sha256(parcel.recipient.encode()).hexdigest()[:8]
        issue = "" if parcel.edition == 1 else f"-edition-{parcel.edition}"
        ending = "eml" if parcel.media_type == MAIL else "json"
        name = f"{parse_scope(parcel.scope).file_name}{issue}-to-{who}-{mark}.{ending}"
        return self._folder / _UNSAFE.sub("-", parcel.kind) / _UNSAFE.sub("-", parcel.period) / name

    def send(self, parcel: Parcel, handing_over: Callable[[], None]) -> None:
        """Write the file whole or not at all; writing it again changes nothing."""
        path = self.path_of(parcel)
        handing_over()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.parent.resolve().is_relative_to(self._folder.resolve()):
                raise TryLater(f"{path.parent} leads out of {self._folder}: remove the link")
            for left in path.parent.glob(f".{path.name}.*"):  # by a sender that was killed
                left.unlink(missing_ok=True)
            self._write(path, parcel.content)
        except OSError as error:
            raise TryLater(f"{path} cannot be written: {error.strerror}") from error

    def _write(self, path: Path, content: bytes) -> None:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # the outbox will say that it was sent, and survives a power cut
            os.replace(temporary, path)  # mkstemp's rights stay: a mail is its owner's alone
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def was_taken(self, parcel: Parcel) -> bool:
        """Whether the file is there and whole."""
        try:
            return self.path_of(parcel).read_bytes() == parcel.content
        except OSError:
            return False

    def close(self) -> None:
        """Nothing is held open."""
