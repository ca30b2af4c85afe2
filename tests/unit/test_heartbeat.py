"""The sign of life: it arrives, or it is said why, and its URL stays unsaid."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from flows.doctor import effective_settings
from flows.heartbeat import beat
from flows.settings import Settings
from tests.hostile_servers import answers, resets, server

SECRET = "0f1c-this-is-secret"


def settings(tmp_path: Path, url: str | None) -> Settings:
    return Settings(data_dir=tmp_path, heartbeat_url=url)


def test_without_a_url_nothing_is_pinged(tmp_path: Path) -> None:
    assert beat(settings(tmp_path, None)) is None


def test_a_ping_is_one_post_to_the_path(tmp_path: Path) -> None:
    heard: list[bytes] = []

    def behave(wire: socket.socket, _: threading.Event) -> None:
        while b"\r\n\r\nok" not in b"".join(heard):
            heard.append(wire.recv(4096))
        wire.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

    with server(behave) as port:
        assert beat(settings(tmp_path, f"http://127.0.0.1:{port}/ping/{SECRET}")) is None
    assert b"".join(heard).startswith(f"POST /ping/{SECRET} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    ("behave", "why"), [(answers(b"", "500 Oops"), "answered 500"), (resets, "127.0.0.1")]
)
def test_one_that_did_not_arrive_is_said_without_its_url(tmp_path: Path, behave: object, why: str) -> None:
    with server(behave) as port:  # type: ignore[arg-type]
        trouble = beat(settings(tmp_path, f"http://127.0.0.1:{port}/ping/{SECRET}"))
    assert trouble is not None
    assert why in trouble
    assert SECRET not in trouble


@pytest.mark.parametrize("url", ["ping me", f"ftp://host/{SECRET}", f"https://ann:{SECRET}@host/"])
def test_a_url_that_is_none_is_said_without_it(tmp_path: Path, url: str) -> None:
    trouble = beat(settings(tmp_path, url))
    assert trouble is not None
    assert "ALMANAC_HEARTBEAT_URL" in trouble
    assert url not in trouble


def test_no_list_of_settings_shows_it(tmp_path: Path) -> None:
    one = settings(tmp_path, f"https://hc-ping.example.com/{SECRET}")
    assert SECRET not in str(effective_settings(one)) + repr(one)
