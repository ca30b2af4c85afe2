"""Leaving by a link, and staying away."""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.errors import UsageError
from flows.ops_store import open_ops_store
from flows.settings import Settings
from flows.unsubscribes import is_unsubscribed, leave_headers, parse_token, resubscribe, token, unsubscribe

SECRET = "a secret of more than thirty-two characters"
NOW = datetime(2026, 11, 23, 2, 30)


@given(st.text(max_size=60), st.sampled_from(["weekly", "monthly", "all"]))
def test_a_token_says_who_leaves_what(address: str, kind: str) -> None:
    signed = token(address, kind, SECRET)
    assert parse_token(signed, SECRET) == (address, kind)
    with pytest.raises(UsageError):
        parse_token(signed, SECRET + ".")


@given(st.text(max_size=200), st.integers(min_value=0, max_value=40))
def test_no_other_text_is_a_token(text: str, at: int) -> None:
    signed = token("ann@example.com", "weekly", SECRET)
    changed = signed[:at] + ("A" if signed[at] != "A" else "B") + signed[at + 1 :]
    for other in (text, changed):
        with pytest.raises(UsageError):
            parse_token(other, SECRET)


def test_one_click_is_offered_only_where_there_is_something_to_click() -> None:
    url = "https://almanac.example.com/unsubscribe"
    headers, link = leave_headers(
        "ann@example.com", "weekly", secret=SECRET, url=url, mailto="bye@example.com"
    )
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link is not None
    assert headers["List-Unsubscribe"] == f"<{link}>, <mailto:bye@example.com?subject=unsubscribe%20weekly>"
    only_mail, no_link = leave_headers("a@b.c", "weekly", secret=None, url=url, mailto="bye@example.com")
    assert (set(only_mail), no_link) == ({"List-Unsubscribe"}, None)
    assert leave_headers("a@b.c", "weekly", secret=None, url=None, mailto=None) == ({}, None)
    mail = EmailMessage()
    for name, value in headers.items():
        mail[name] = value


def test_who_left_stays_away_until_they_come_back(tmp_path: Path) -> None:
    store = open_ops_store(Settings(data_dir=tmp_path))
    with store.transaction() as connection:
        unsubscribe(connection, "Ann@Example.com", "weekly", NOW, "link")
        unsubscribe(connection, "ann@example.com", "weekly", NOW, "link")
        unsubscribe(connection, "bob@example.com", "all", NOW, "operator")
        asked = [
            is_unsubscribed(connection, address, kind)
            for address in ("ann@example.COM", "bob@example.com", "cat@example.com")
            for kind in ("weekly", "monthly")
        ]
        assert asked == [True, False, True, True, False, False]
        assert resubscribe(connection, "ANN@example.com") == 1
        assert not is_unsubscribed(connection, "ann@example.com", "weekly")
        with pytest.raises(UsageError):
            unsubscribe(connection, "ann@example.com", "daily", NOW, "link")
