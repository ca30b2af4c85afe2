"""Landing of the reverse proxy's access log: what is new in its files into `raw.access_log`, each line once.

Part of the landing's own transaction. How far a content was read is remembered by the content itself, the
first bytes and those before the position, so it is found wherever rotation has moved, copied or packed it.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING

from flows import security_sources
from flows.access_log_lines import NoRequest, Request, read_line
from flows.failpoints import failpoint
from flows.landing_store import scalar
from flows.redaction import redacted_sql, shown

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    Content = IO[bytes] | gzip.GzipFile

# Bytes that one landing reads, unpacked; the next goes on from there. 64 MiB are about 300,000 lines, in
# a quarter of a minute.
BYTES_AT_ONCE = 64 << 20
CHUNK_BYTES = 1 << 18
# A longer line is a bad one; no more of it is held.
LONGEST_LINE = 64 << 10
# Of the beginning of a file, and before the position, so much tells one content from another.
MARK_BYTES = 256
BATCH_LINES = 20_000
# Days that requests are kept: they hold addresses of people.
KEPT_DAYS = 90
# What a rule looks back, and no less: a file that has not changed for so long holds nothing that it asks for.
RECENT = timedelta(days=2)
# Files of one glob: more is a wrong pattern.
MOST_FILES = 1_000

_COLUMNS = (
    "log_id", "happened_at", "client", "method", "path", "status", "team_id", "key_id", "duration_ms",
    "source_file", "line_offset",
)  # fmt: skip


@dataclass(slots=True)
class AccessLogReport:
    """What one landing read of the access log."""

    lines_landed: int = 0
    bad_lines: int = 0
    # the first bad line, as file:number
    first_bad: str | None = None
    # of days that are not kept any more
    old_lines: int = 0
    # left for the next landing, in words
    left: list[str] = field(default_factory=list)
    files_found: int = 0
    files_read: int = 0
    # a file that changed in the last day was left out, or was not read as far as it goes
    is_behind: bool = False

    @property
    def has_bad_lines_only(self) -> bool:
        """Whether lines came and none could be read: another format, or rubbish."""
        return self.bad_lines > 0 and self.lines_landed == 0 and self.old_lines == 0

    def leave(self, why: str, *, is_recent: bool = True) -> None:
        """Say what is not read now; of what is older than a day no rule asks."""
        self.left.append(why)
        self.is_behind = self.is_behind or is_recent

    def __str__(self) -> str:
        text = f"{self.lines_landed:,} new lines of the access log"
        if self.bad_lines:
            text += f", {self.bad_lines:,} that could not be read (the first: {self.first_bad})"
        if self.old_lines:
            text += f", {self.old_lines:,} older than {KEPT_DAYS} days left out"
        return "; ".join([text, *self.left])


@dataclass(frozen=True, slots=True)
class _Mark:
    """How far one content was read: `position` bytes, of which the first and the last are known by hash."""

    head_bytes: int
    head: str
    tail: str
    position: int
    line_count: int
    # the position lies inside a line that is too long, and counted already
    is_inside_line: bool
    file_id: str
    # of a packed file: changes when the file does
    packed_mark: str | None


@dataclass(slots=True)
class _Ends:
    """The first and the last bytes of what was read of a content: as read, the file may be another by now."""

    head: bytes = b""
    tail: bytes = b""

    def add(self, read: bytes) -> None:
        self.head = (self.head + read[:MARK_BYTES])[:MARK_BYTES]
        self.tail = (self.tail + read[-MARK_BYTES:])[-MARK_BYTES:]


def land_access_log(
    connection: DuckDBPyConnection,
    pattern: str | None,
    *,
    as_of: datetime,
    bytes_at_once: int = BYTES_AT_ONCE,
) -> AccessLogReport | None:
    """Add the new lines of the files that match `pattern`; None without a pattern.

    Never raises for what is in a file, or for a file that cannot be read: the report says so. The log counts
    as read up to `as_of` only when all of its last day was: what is not read is neither clear nor new.
    """
    if pattern is None:
        security_sources.note(connection, security_sources.ACCESS_LOG, is_present=False, read_as_of=None)
        return None
    reader = _Reader(connection, as_of, bytes_at_once)
    reader.read_all(_files(pattern, reader.report, as_of))
    report = reader.report
    if report.files_found == 0:
        report.left.append("no file is there that ALMANAC_ACCESS_LOG names")
    is_known = report.files_read > 0 and reader.holds_requests()
    texts = list(report.left)
    if report.bad_lines:
        texts.append(f"{report.bad_lines:,} lines could not be read, the first {report.first_bad}")
    elif report.files_read and not is_known:
        texts.append("none of its lines could be read")
    is_whole = is_known and not report.is_behind
    security_sources.note(
        connection,
        security_sources.ACCESS_LOG,
        is_present=is_known,
        read_as_of=as_of if is_whole and not report.has_bad_lines_only else None,
        detail="; ".join(texts) or None,
    )
    failpoint("land.access_log")
    return report


def _files(pattern: str, report: AccessLogReport, as_of: datetime) -> list[Path]:
    """The files, the oldest first, so that requests land in about the order in which they came."""
    found: list[tuple[int, str, Path]] = []
    for name in [pattern] if os.path.exists(pattern) else glob.glob(pattern):
        path = Path(name)
        try:
            if path.is_file():
                found.append((path.stat().st_mtime_ns, name, path))
        except FileNotFoundError:
            # rotated away since it was listed: it is met under its other name
            continue
        except OSError as error:
            report.leave(_unreadable(path, error))
    found.sort()
    if len(found) > MOST_FILES:
        report.leave(
            f"{len(found):,} files match, the newest {MOST_FILES:,} are read",
            is_recent=_is_recent(found[-MOST_FILES - 1][0], as_of),
        )
    return [path for _, _, path in found[-MOST_FILES:]]


def _is_recent(changed_ns: int, as_of: datetime) -> bool:
    return changed_ns / 1e9 > (as_of - RECENT).replace(tzinfo=UTC).timestamp()


class _Reader:
    """One landing's reading of all files."""

    def __init__(self, connection: DuckDBPyConnection, as_of: datetime, bytes_at_once: int) -> None:
        self.report = AccessLogReport()
        self._connection = connection
        self._as_of = as_of
        self._bytes_left = bytes_at_once
        self._oldest = as_of - timedelta(days=KEPT_DAYS)
        self._rows: list[tuple[object, ...]] = []
        highest = scalar(connection, "select coalesce(max(highest_id), 0) from raw.access_log_ids")
        self._next_id = int(highest) + 1
        rows = connection.execute(
            "select head_bytes, head, tail, position, line_count, is_inside_line, file_id, packed_mark "
            "from raw.access_log_files"
        ).fetchall()
        self._marks = [_Mark(*row) for row in rows]

    def read_all(self, paths: list[Path]) -> None:
        self.report.files_found = len(paths)
        for path in paths:
            if self._bytes_left <= 0:
                self.report.leave(f"from {path.name} on it is read at the next landing")
                break
            try:
                self._read(path)
                self.report.files_read += 1
            except FileNotFoundError:
                # rotated away since it was listed; the next landing meets it under its other name
                self.report.is_behind = True
            except OSError as error:
                self.report.leave(_unreadable(path, error))
        self._flush()
        self._connection.execute("delete from raw.access_log where happened_at < ?", [self._oldest])
        self._connection.execute("delete from raw.access_log_ids")
        self._connection.execute("insert into raw.access_log_ids values (?)", [self._next_id - 1])

    def holds_requests(self) -> bool:
        """Whether the log is one that can be read: a line of it was, some time, or it has had none."""
        if self._next_id > 1 or self.report.old_lines:
            return True
        if self.report.bad_lines:
            return False
        was_present = scalar(
            self._connection,
            "select coalesce(bool_or(is_present), false) from raw.security_sources "
            f"where source_name = '{security_sources.ACCESS_LOG}'",
        )
        has_lines = any(mark.line_count or mark.is_inside_line for mark in self._marks)
        return bool(was_present) or not has_lines

    # --- one file -----------------------------------------------------------------------------------------

    def _read(self, path: Path) -> None:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            file_id = f"{status.st_dev}:{status.st_ino}"
            if file.read(2) != b"\x1f\x8b":
                self._read_content(path.name, file, status.st_size, file_id, None)
                return
            mark = f"{file_id}:{status.st_size}:{status.st_mtime_ns}"
            if any(known.packed_mark == mark for known in self._marks):
                return
            file.seek(0)
            size = _unpacked_size(file)
            if size is None:
                self.report.leave(
                    f"{path.name} is not packed to its end",
                    is_recent=_is_recent(status.st_mtime_ns, self._as_of),
                )
                return
            file.seek(0)
            with gzip.GzipFile(fileobj=file) as unpacked:
                self._read_content(path.name, unpacked, size, file_id, mark)

    def _read_content(
        self, name: str, file: Content, size: int, file_id: str, packed_mark: str | None
    ) -> None:
        found = self._known(file, size, file_id)
        if found is None:
            return
        known, ends = found
        read_to = self._read_lines(name, file, size, known, ends, is_whole=packed_mark is not None)
        if read_to.position == 0:
            return
        mark = replace(
            read_to,
            head_bytes=len(ends.head),
            head=_hash(ends.head),
            tail=_hash(ends.tail),
            file_id=file_id,
            packed_mark=packed_mark if read_to.position >= size else None,
        )
        self._remember(known, mark, name)

    def _known(self, file: Content, size: int, file_id: str) -> tuple[_Mark, _Ends] | None:
        """Where to go on in this content; None when it is the beginning of one that is being copied."""
        head = _bytes_at(file, 0, MARK_BYTES)
        hashes = {n: _hash(head[:n]) for n in {mark.head_bytes for mark in self._marks} if n <= len(head)}
        alike = [mark for mark in self._marks if hashes.get(mark.head_bytes) == mark.head]
        for mark in sorted(alike, key=lambda one: (-one.position, one.file_id != file_id)):
            if mark.position > size:
                continue
            tail = _bytes_at(file, mark.position - mark.head_bytes, mark.head_bytes)
            if mark.tail == _hash(tail):
                return mark, _Ends(head[: mark.head_bytes], tail)
        if any(mark.position > size and mark.file_id != file_id for mark in alike):
            return None
        return _Mark(0, "", "", 0, 0, False, file_id, None), _Ends()

    def _read_lines(
        self, name: str, file: Content, size: int, start: _Mark, ends: _Ends, *, is_whole: bool
    ) -> _Mark:
        """Take every whole line from `start` on; of a whole file also a last one without a line end."""
        file.seek(start.position)
        position, count, is_inside = start.position, start.line_count, start.is_inside_line
        rest = b""
        read, end = position, min(size, position + self._bytes_left)
        while read < end and (chunk := file.read(min(CHUNK_BYTES, end - read))):
            read += len(chunk)
            self._bytes_left -= len(chunk)
            held = rest + chunk
            lines = held.split(b"\n")
            rest = lines.pop()
            for line in lines:
                count += 1
                if not is_inside:
                    self._take(name, line, position, count)
                is_inside = False
                position += len(line) + 1
            # a hole is no part of the line after it, however large
            line_start = rest.lstrip(b"\0")
            position += len(rest) - len(line_start)
            rest = line_start
            if len(rest) > LONGEST_LINE:
                # given up here, whatever still comes of it
                if not is_inside:
                    self._bad(name, count + 1)
                is_inside = True
                position += len(rest)
                rest = b""
            ends.add(held[: len(held) - len(rest)])
        if rest and is_whole and position + len(rest) == size:
            count += 1
            if not is_inside:
                self._take(name, rest, position, count)
            is_inside = False
            position = size
            ends.add(rest)
        if position < size and self._bytes_left <= 0:
            self.report.leave(f"{name} is read on at the next landing")
        return replace(start, position=position, line_count=count, is_inside_line=is_inside)

    def _remember(self, known: _Mark, mark: _Mark, name: str) -> None:
        if known.file_id == mark.file_id and known in self._marks:
            self._marks.remove(known)
            self._connection.execute(
                "delete from raw.access_log_files where head = ? and position = ? and file_id = ?",
                [known.head, known.position, known.file_id],
            )
        self._marks.append(mark)
        self._connection.execute(
            "insert into raw.access_log_files values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                mark.head_bytes, mark.head, mark.tail, mark.position, mark.line_count, mark.is_inside_line,
                mark.file_id, mark.packed_mark, name, self._as_of,
            ],
        )  # fmt: skip

    # --- lines --------------------------------------------------------------------------------------------

    def _take(self, name: str, line: bytes, offset: int, number: int) -> None:
        # a log that was cut while its writer went on begins with a hole of NUL bytes
        hole = len(line) - len(line.lstrip(b"\0"))
        line, offset = line[hole:], offset + hole
        text = line.rstrip(b"\r").decode("utf-8", errors="replace").strip()
        if not text:
            return
        try:
            if len(line) > LONGEST_LINE or "\0" in text:
                raise NoRequest
            request = read_line(text)
        except NoRequest:
            self._bad(name, number)
            return
        if request.happened_at >= self._oldest:
            self._add(request, name, offset)
        else:
            self.report.old_lines += 1

    def _bad(self, name: str, number: int) -> None:
        self.report.bad_lines += 1
        if self.report.first_bad is None:
            self.report.first_bad = f"{shown(name)} line {number:,}"

    def _add(self, request: Request, name: str, offset: int) -> None:
        self._rows.append(
            (
                self._next_id, request.happened_at, request.client, request.method, request.path,
                request.status, request.team_id, request.key_id, request.duration_ms, name, offset,
            )
        )  # fmt: skip
        self._next_id += 1
        self.report.lines_landed += 1
        if len(self._rows) >= BATCH_LINES:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        import pyarrow

        types = (
            pyarrow.int64(), pyarrow.timestamp("us"), pyarrow.string(), pyarrow.string(), pyarrow.string(),
            pyarrow.int64(), pyarrow.string(), pyarrow.string(), pyarrow.decimal128(18, 3), pyarrow.string(),
            pyarrow.int64(),
        )  # fmt: skip
        columns = zip(_COLUMNS, types, zip(*self._rows, strict=True), strict=True)
        self._connection.register(
            "batch", pyarrow.table({name: pyarrow.array(values, kind) for name, kind, values in columns})
        )
        # a path may hold a key as one of its parts
        self._connection.execute(
            f"insert into raw.access_log select * replace ({redacted_sql('path')} as path) from batch"
        )
        self._connection.unregister("batch")
        self._rows.clear()
        failpoint("land.access_log_lines")


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path.name} cannot be read: {error.strerror or type(error).__name__}"


def _bytes_at(file: Content, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _unpacked_size(packed: IO[bytes]) -> int | None:
    """Bytes of a packed file's content; None when its end is not there yet."""
    try:
        with gzip.GzipFile(fileobj=packed) as file:
            return sum(len(chunk) for chunk in _chunks(file))
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return None


def _chunks(file: Content) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
