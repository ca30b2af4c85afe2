"""Named places at which a test can end, stop or fail a run: how crash safety is shown, not claimed.

`ALMANAC_FAILPOINT=name[:nth][=kill|stop|raise]` arms one of them: at its nth passing (the first when none is
given) the process kills itself (the default), stops until it is continued, or raises. Unset, as in every
real run, a failpoint is one comparison.
"""

from __future__ import annotations

import os
import re
import signal
import threading

_ARMED = os.environ.get("ALMANAC_FAILPOINT", "")
_FORM = re.compile(r"(?P<name>[a-z_.]+)(?::(?P<nth>[1-9]\d{0,5}))?(?:=(?P<action>kill|stop|raise))?")

_match = _FORM.fullmatch(_ARMED)
if _ARMED and _match is None:
    raise SystemExit(
        "almanac: ALMANAC_FAILPOINT must read name[:nth][=kill|stop|raise]; unset it in real runs."
    )
_name = _match["name"] if _match else ""
_action = (_match["action"] or "kill") if _match else ""
_passings_left = int(_match["nth"] or 1) if _match else 0

# Held by a thread that writes beside the run's own: a run that is stopped in the middle of such a write would
# keep the ops store locked for as long as it stands still.
at_rest = threading.Lock()


class FailpointReached(RuntimeError):
    """The armed failpoint raised, as ALMANAC_FAILPOINT asked."""


def failpoint(name: str) -> None:
    """Do at this place what ALMANAC_FAILPOINT asks for; nothing when it names another place."""
    global _passings_left
    if name != _name or not _passings_left:
        return
    _passings_left -= 1
    if _passings_left:
        return
    if _action == "raise":
        raise FailpointReached(name)
    if _action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    with at_rest:
        os.kill(os.getpid(), signal.SIGSTOP)
