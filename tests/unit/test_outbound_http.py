"""The guarded POST: where it goes and where not, and that each answer is over in time; with real servers."""

from __future__ import annotations

import ssl
import time
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from flows.channels import ChannelDown, NobodyKnows, Refused, TryLater
from flows.errors import UsageError
from flows.outbound_http import (
    LARGEST_ANSWER,
    LONGEST_WAIT,
    Answer,
    Guard,
    Target,
    parse_target,
    post,
    require_taken,
    retry_after,
    why_not_reached,
)
from tests.http_receivers import http_receiver
from tests.smtp_servers import closed_port

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OWN = Guard(allow_private=True, allow_http=True, deadline_seconds=5)
SECRET_PATH = "/services/T000/B000/SECRETSECRET"


def at(port: int, scheme: str = "http", host: str = "127.0.0.1") -> Target:
    return parse_target(f"{scheme}://{host}:{port}{SECRET_PATH}", OWN, source="ALMANAC_ALERT_X")


def send(target: Target, guard: Guard = OWN, body: bytes = b'{"a":1}') -> Answer:
    return post(target, body, {"Content-Type": "application/json"}, guard, lambda: None)


def resolver(*answers: Sequence[str]) -> Any:
    """A resolver that says something else each time, and its last word for ever."""
    left = list(answers)

    def resolve(host: str, port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
        *("192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.0.10"),
        *("192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255"),
        *("240.0.0.1", "255.255.255.255", "192.88.99.1"),
        *("::1", "::", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
        *("fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "100::1"),
        *(
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2001::1",
            "2001:db8::1",
        ),
        *("3fff::1", "5f00::1", "not an address", ""),
    ],
)
def test_no_address_but_a_public_one_is_connected_to(address: str) -> None:
    assert why_not_reached(address, Guard()) is not None
    guard = Guard(resolve=resolver([address]))
    with pytest.raises(ChannelDown, match=r"hooks\.example\.com is at .*Nothing was sent"):
        post(parse_target("https://hooks.example.com/x", guard, source="X"), b"{}", {}, guard, lambda: None)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "52.1.2.3", "168.63.129.17", "::ffff:8.8.8.8", "2606:4700::1111", "2a00:1450::1"]
)
def test_public_addresses_are_reached(address: str) -> None:
    assert why_not_reached(address, Guard()) is None


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "::ffff:169.254.169.254", "0.0.0.0", "224.0.0.1", "fe80::1"),
        # of AWS, Google, Alibaba, Oracle, Azure
        *("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
        # NAT64, 6to4 and Teredo of 169.254.169.254
        *("64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::1"),
    ],
)
def test_who_may_reach_their_own_network_does_not_reach_these(address: str) -> None:
    assert why_not_reached(address, OWN) is not None


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "fd00::1", "fd00:ec2::253", "100.64.0.1", "8.8.8.8"]
)
def test_ones_own_network_is_reached_when_it_is_allowed(address: str) -> None:
    assert why_not_reached(address, OWN) is None


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    guard = Guard(resolve=resolver(["8.8.8.8", "10.0.0.1"]))
    with pytest.raises(ChannelDown, match="private"):
        send(parse_target("https://hooks.example.com/", guard, source="X"), guard)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://hooks.example.com/x",
            "ftp://hooks.example.com",
            "hooks.example.com",
            "https://",
            "https:///x",
        ),
        *(
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.0.0.1/",
            "https://127.1/",
            "https://017700000001/",
        ),
        *("https://[::1%25eth0]/", "https://[::1", "https://host:port/", "https://host:99999/"),
        *("https://user@host/", "https://user:SECRET@host/", "https://host/#part", "https://host/a b"),
        *("https://host/\r\nX: y", "https://bücher.example/", "https://-host/", "https://host..example/"),
        f"https://host/{'x' * 5000}",
    ],
)
def test_what_is_no_https_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_target(url, Guard(), source="ALMANAC_ALERT_X")
    assert "ALMANAC_ALERT_X" in str(refused.value)
    assert not any(part in str(refused.value) for part in ("SECRET", "2130706433", "xxxx"))


def test_a_private_address_in_the_url_itself_is_refused_when_it_is_used() -> None:
    for host in ("127.0.0.1", "[::1]", "169.254.169.254", "10.0.0.8", "[::ffff:127.0.0.1]"):
        with pytest.raises(ChannelDown, match="Nothing was sent"):
            send(parse_target(f"https://{host}:8443/x", Guard(), source="X"), Guard())


def test_the_connection_goes_to_the_address_that_was_judged_not_to_what_the_name_means_then() -> None:
    with http_receiver("200") as wanted:
        # the name leads to `wanted` when it is judged, and would lead nowhere when it is asked again
        asked: list[str] = []

        def resolve(host: str, port: int) -> Sequence[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["192.0.2.1"]

        guard = Guard(allow_private=True, allow_http=True, resolve=resolve, deadline_seconds=5)
        assert send(at(wanted.port, host="rebinding.example"), guard).status == 200
        assert asked == ["rebinding.example"]
        assert wanted.posted[0].headers["host"] == f"rebinding.example:{wanted.port}"


def test_a_request_is_what_it_is_meant_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    with http_receiver("200|ok") as receiver:
        order: list[int] = []
        answer = post(
            at(receiver.port), b'{"a":1}', {"X-One": "1"}, OWN, lambda: order.append(len(receiver.posted))
        )
    (posted,) = receiver.posted
    assert answer == Answer(200)
    assert order == [0], "the receiver had it before it was handed over"
    assert posted.line == f"POST {SECRET_PATH} HTTP/1.1"
    assert posted.body == b'{"a":1}'
    assert (posted.headers["user-agent"], posted.headers["x-one"]) == ("llm-almanac", "1")


@pytest.mark.parametrize(
    ("answer", "raised", "told", "wait"),
    [
        ("400|invalid_payload", Refused, "400 (invalid_payload)", None),
        ("400|SECRETSECRET", Refused, "answered 400", None),
        ("401", ChannelDown, "answered 401", None),
        ("403|SECRETSECRET", ChannelDown, "answered 403", None),
        ("404|no_service", ChannelDown, "404 (no_service): make another", None),
        ("410|channel_is_archived", ChannelDown, "410 (channel_is_archived)", None),
        ("302\r\nLocation: http://127.0.0.1:1/SECRETSECRET", ChannelDown, "redirects are not", None),
        ("413", Refused, "answered 413", None),
        ("422", Refused, "answered 422", None),
        ("103", NobodyKnows, "answered 103", None),
        ("408", TryLater, "answered 408", None),
        ("429\r\nRetry-After: 30", TryLater, "answered 429", 30),
        ("429\r\nRetry-After: soon", TryLater, "answered 429", 60),
        ("429", TryLater, "answered 429", 60),
        ("429\r\nRetry-After: -5", TryLater, "answered 429", 60),
        ("429\r\nRetry-After: 99999999999999999999999999", TryLater, "answered 429", 6 * 3600),
        (
            f"429\r\nRetry-After: {format_datetime(NOW + timedelta(seconds=90), usegmt=True)}",
            TryLater,
            "429",
            90,
        ),
        ("500|SECRETSECRET", TryLater, "answered 500", None),
        ("503\r\nRetry-After: 120", TryLater, "answered 503", 120),
        ("giant:500", TryLater, "answered 500", None),
    ],
    ids=str,
)
def test_what_an_answer_means(answer: str, raised: type[Exception], told: str, wait: int | None) -> None:
    with http_receiver(answer) as receiver:
        target = at(receiver.port)
        said = send(target)
        with pytest.raises(raised) as caught:
            require_taken(said, target, advice={404: "make another"}, now=NOW)
        assert receiver.connections == 1
    story = str(caught.value)
    assert told in story
    assert f"127.0.0.1:{receiver.port}" in story
    assert "SECRET" not in story
    if isinstance(caught.value, TryLater):
        assert caught.value.wait == (None if wait is None else timedelta(seconds=wait))
        assert caught.value.is_outage == (said.status != 429)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("0", None), ("", None), (None, None), ("1.5", None), ("1e9", None), ("٣", None)),
        *(("Mon, 99 Nov 2026 99:99:99 GMT", None), ("Mon, 23 Nov 2026 11:00:00 GMT", None)),
        ("Mon, 23 Nov 2026 12:00:07 GMT", 7),
        ("Wed, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT.total_seconds()),
        (" 12 ", 12),
    ],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    assert retry_after(text, NOW) == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize("answer", ["hang", "drip", "reset", "garbage"])
def test_who_got_all_and_does_not_answer_may_have_it(answer: str) -> None:
    guard = Guard(allow_private=True, allow_http=True, deadline_seconds=0.5)
    with http_receiver(answer) as receiver:
        began = time.monotonic()
        with pytest.raises(NobodyKnows) as caught:
            send(at(receiver.port), guard)
        assert time.monotonic() - began < 1.5
    assert caught.value.is_outage
    assert ("in time" in str(caught.value)) == (answer in ("hang", "drip"))
    assert "SECRET" not in str(caught.value)


def test_who_broke_off_before_the_end_cannot_have_it() -> None:
    with http_receiver("early") as receiver:
        handed_over: list[bool] = []
        with pytest.raises((TryLater, NobodyKnows)) as caught:
            post(at(receiver.port), bytes(50_000_000), {}, OWN, lambda: handed_over.append(True))
    assert isinstance(caught.value, TryLater)
    assert not handed_over


def test_nobody_there_is_an_outage() -> None:
    with pytest.raises(TryLater, match="refused") as caught:
        send(at(closed_port()))
    assert caught.value.is_outage


def test_a_name_without_address_is_an_outage_and_one_that_takes_long_too() -> None:
    def nothing(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    def slow(host: str, port: int) -> Sequence[str]:
        time.sleep(1)
        return ["8.8.8.8"]

    for resolve, told in ((nothing, "has no address"), (slow, "not found in time")):
        guard = Guard(resolve=resolve, deadline_seconds=0.2)
        with pytest.raises(TryLater, match=told) as caught:
            send(parse_target("https://hooks.example.com/x", guard, source="X"), guard)
        assert caught.value.is_outage


@pytest.mark.parametrize("status", ["200", "500"])
def test_a_body_without_end_fills_no_memory(status: str) -> None:
    with http_receiver(f"giant:{status}") as receiver:
        send(at(receiver.port))  # once before, for what is loaded then
        tracemalloc.start()
        try:
            began = time.monotonic()
            assert send(at(receiver.port)).status == int(status)
            assert tracemalloc.get_traced_memory()[1] < 8 * LARGEST_ANSWER
        finally:
            tracemalloc.stop()
        assert time.monotonic() - began < 2


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def server_tls(issuer: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer.issue_cert(name).configure_cert(context)
    return context


def test_tls_is_verified_against_the_name_at_the_pinned_address(authority: trustme.CA, ca_file: Path) -> None:
    names: list[str | None] = []
    context = server_tls(authority, "hooks.example.com")
    context.sni_callback = lambda _, name, __: names.append(name)
    guard = Guard(True, False, ca_file, 5, resolver(["127.0.0.1"]))
    with http_receiver("200", tls=context) as receiver:
        assert send(at(receiver.port, "https", "hooks.example.com"), guard).status == 200
    assert names == ["hooks.example.com"]


@pytest.mark.parametrize("case", ["another name", "another authority"])
def test_who_cannot_be_trusted_gets_nothing(authority: trustme.CA, ca_file: Path, case: str) -> None:
    issuer = trustme.CA() if case == "another authority" else authority
    context = server_tls(issuer, "evil.example.com" if case == "another name" else "hooks.example.com")
    guard = Guard(True, False, ca_file, 5, resolver(["127.0.0.1"]))
    with http_receiver("200", tls=context) as receiver:
        with pytest.raises(ChannelDown, match="cannot be trusted"):
            send(at(receiver.port, "https", "hooks.example.com"), guard)
        assert receiver.posted == []


def test_an_authority_file_that_holds_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ChannelDown, match="ca_file"):
        send(at(1, "https"), Guard(True, False, tmp_path / "ca.pem", 5))


def test_a_target_is_printed_without_its_path() -> None:
    target = parse_target(f"https://hooks.slack.com{SECRET_PATH}", Guard(), source="X")
    assert (str(target), "SECRET" in repr(target)) == ("hooks.slack.com", False)
