"""The process that hands one notification to the Apprise library: it reads JSON from stdin, answers one word.

Started as a script of its own (`python -I apprise_child.py`), with an empty environment, so that whatever a
service's plugin does can be ended at once, finds no proxy and no secret of others, and logs to nobody.
The answer: `sent`; `failed`; `doubtful` for a failure that took as long as the service has to answer, which
may have taken the message; or `unknown` for a URL that Apprise does not know.
"""

import json
import logging
import sys
import time

CONNECT_SECONDS = 5.0


def main() -> None:
    """Notify once; nothing of URL or text is printed."""
    logging.disable(logging.CRITICAL)
    import apprise
    from apprise.common import OverflowMode

    order = json.load(sys.stdin)
    asset = apprise.AppriseAsset(
        app_id="LLM Almanac",
        app_desc="LLM Almanac",
        app_url="",
        async_mode=False,
        storage_mode="memory",
        # what a URL's own ?redirect=, ?retry= or ?optional= says is overruled below
        http_redirects=False,
        secure_logging=True,
        pgp_autogen=False,
        pem_autogen=False,
    )
    service = apprise.Apprise.instantiate(order["url"], asset=asset)
    if service is None:
        print("unknown")
        return
    service.redirects = False
    service.retry = 0
    service.optional = False
    service.overflow_mode = OverflowMode.TRUNCATE
    if order["is_check"]:
        print("known")
        return
    read_seconds = order["read_seconds"]
    service.socket_read_timeout = read_seconds
    # plugins with one of their own (mail) wait for answers with it, too
    has_own = type(service).socket_connect_timeout != apprise.URLBase.socket_connect_timeout
    service.socket_connect_timeout = read_seconds if has_own else min(CONNECT_SECONDS, read_seconds)
    print("ready", flush=True)
    sender = apprise.Apprise(asset=asset)
    sender.add(service)
    began = time.monotonic()
    was_sent = sender.notify(
        title=order["title"],
        body=order["body"],
        notify_type=order["type"],
        body_format=apprise.NotifyFormat.TEXT,
    )
    # Apprise says no more than that it failed, of silence too
    is_late = time.monotonic() - began >= read_seconds
    print("sent" if was_sent else "doubtful" if is_late else "failed")


if __name__ == "__main__":
    main()
