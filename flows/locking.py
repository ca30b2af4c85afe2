"""One writer at a time in a data folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.errors import AlmanacError, Busy


@contextmanager
def only_writer(data_dir: Path) -> Iterator[None]:
    """Hold the folder's lock, or raise Busy at once.

    The kernel holds the lock for this process and lets go of it when the process ends, however it ends.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / ".lock").open("w")
    except OSError as error:
        raise AlmanacError(
            f"The data folder {data_dir} cannot be written: {error.strerror}. "
            "Set ALMANAC_DATA_DIR, or give --data-dir, to a folder of yours."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"Another run is writing to {data_dir}. Wait for it to end, then try again.") from None
        yield
