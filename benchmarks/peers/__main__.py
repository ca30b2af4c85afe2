"""One action of one peer in a process of its own: `python -m benchmarks.peers NAME ACTION --source DIR ...`.

Prints one line of JSON: `seconds` of the action without the start of Python (of an answer: the median of
several), `rows` of an answer, and `note` where a peer has something to say.
"""

import json
import statistics
import time
from datetime import date, datetime
from typing import Any

from benchmarks.peers.order import Order, parsed, parser
from benchmarks.peers.roster import ACTIONS, BUILD, NIGHT, OURS, PEERS, Peer, peer

ANSWERS = 5


def run(chosen: Peer, action: str, order: Order) -> dict[str, Any]:
    """Do it, and say what it took."""
    do = chosen.function(action)
    if action in (BUILD, NIGHT):
        started = time.perf_counter()
        told = do(order) or {}
        seconds = time.perf_counter() - started
        chosen.export(order)
        return {"seconds": seconds, **told}
    do(order)
    took: list[float] = []
    rows: list[tuple[Any, ...]] = []
    for _ in range(ANSWERS):
        started = time.perf_counter()
        rows = do(order)
        took.append(time.perf_counter() - started)
    return {"seconds": statistics.median(took), "rows": [[_plain(cell) for cell in row] for row in rows]}


def _plain(value: Any) -> Any:
    """As JSON: a day as text, any number as a float."""
    if isinstance(value, (date, datetime)):
        return str(value)[:10]
    return value if value is None or isinstance(value, str) else float(value)


def main() -> None:
    made = parser()
    made.prog = "python -m benchmarks.peers"
    made.description = __doc__
    made.add_argument("name", choices=[one.name for one in (OURS, *PEERS)])
    made.add_argument("action", choices=ACTIONS)
    given = made.parse_args()
    print(json.dumps(run(peer(given.name), given.action, parsed(given))))


if __name__ == "__main__":
    main()
