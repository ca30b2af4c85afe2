"""The redaction list: secrets go, other text stays, and DuckDB and Python agree on every text."""

import json
from collections.abc import Iterable

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.redaction import KEPT_CHARACTERS, REDACTED, redact, redacted_sql, shown

# (text, the secret in it): the secret must be gone, the rest must say what it said.
SECRETS = [
    (
        "for url 'https://g.example/v1beta/models/m:generateContent?key=mock-key-not-real'",
        "mock-key-not-real",
    ),
    ("https://g.example/v1?alt=sse&key=abc&x=1", "abc"),
    ("https://g.example/v1?api_key=abc1", "abc1"),
    ("https://g.example/v1?access_token=abc1#top", "abc1"),
    ("request with token=opaque failed", "opaque"),
    ("password='two words' is wrong", "two words"),
    ("{'x-api-key': 'mock-value', 'n': 1}", "mock-value"),
    ('{"client_secret": "s3"}', "s3"),
    ("x-goog-api-key: mock-gemini-key", "mock-gemini-key"),
    ("header Authorization: Bearer abc.def-123", "abc.def-123"),
    ("bearer ABCDEFGHIJKLMNOPQRST was refused", "ABCDEFGHIJKLMNOPQRST"),
    ("Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("Incorrect API key provided: sk-mock-************************0000. You", "0000"),
    ("Incorrect API key provided: sk-mock-************************0000. You", "mock"),
    ("Incorrect API key provided: ab*******yz.", "yz"),
    ("Virtual Key=sk-...r3Ab", "r3Ab"),
    ("sk-ant-api03-Ab_12", "api03"),
    ("pk-1234 and rk-5678", "5678"),
    ("sk_live_abcd1234", "abcd1234"),
    ("key AIzaSyD-1234567 is invalid", "AIzaSyD"),
    ("credentials AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln expired", "c2ln"),
    ("slack xoxb-12-abcdef", "12-abcdef"),
    ("github ghp_abcdefghijkl1234", "abcdefghijkl1234"),
    ("password: hunter2 was wrong", "hunter2"),
    ("sent Cookie: session=abc; csrf=def\nto the host", "def"),
    ("Set-Cookie: sid=abc", "abc"),
    ("Authorization: abc", "abc"),
    ("-H 'x-goog-api-key: Ab1'", "Ab1"),
    ("post to https://hooks.slack.com/services/T0ABC/B0ABC/aBcDeF failed", "T0ABC"),
    ("xai-abcdefgh12 is not valid", "abcdefgh12"),
    ("ya29.a0Ab_cd-ef", "a0Ab_cd-ef"),
    ("passphrase=open1", "open1"),
    ("https://g.example/cb?u=x%3Fkey%3Dabc", "abc"),
    ("postgresql://app:hunter2@db:5432/litellm", "hunter2"),
    ("postgresql://app:p@ss@db:5432/litellm", "p@ss"),
    ("https://opaque@host/path", "opaque"),
    ("id 0123456789abcdef0123456789abcdef!", "0123456789abcdef"),
    ("id " + "a" * 31 + "1", "a" * 31),
    ("über" + "x9" * 16 + "über", "x9"),
    (f"401 for alm_ab12cd34ef_{'Zy-_' * 10}abc at /api", "Zy"),
    (f"401 for alm_abcdefghij_{'a-_B' * 10}abc", "a-_B"),  # no digit, so no other rule sees it
    (f"%20alm_ab12cd34ef_{'-' * 43}", "---"),
    ("alm_ab12cd34ef_Qx", "Qx"),
    (f"cookie alm_session_{'Qx-_' * 10}abc was refused", "Qx"),
]

CLEAN = [
    "",
    "500: Failed to call provider API: ",
    "500: Failed to call provider API: OpenAI rate limit: Error code: 429 - {'code': 'rate_limit'}",
    "Client error '429 Too Many Requests' for url 'https://api.example.ai/inference/v1/chat/completions'\n"
    "For more information check: https://developer.example.org/en-US/docs/Web/HTTP/Status/429",
    "{'type': 'error', 'request_id': 'req_b773550324f30a14465b015f'}",
    "Job document_analysis completed (consumption_usd mode: 4 credits)",
    "Credit replenishment from subscription payment ($49.00 USD)",
    "Team 'initech-legacy' does not have access to model alias 'claude-3-5-sonnet-20241022'",
    "risk-based task-force, disk-full, desk-1234",
    "Bearer token missing; Bearer authentication required; Basic authentication required",
    "api_key: field required",
    "KeyError: 'key'",
    "max_tokens=100 exceeded, total_tokens=131072",
    "duplicate key value violates unique constraint: Key (job_id)=(7)",
    "mail to someone@example.org, see https://example.org/a?mail=x@example.org",
    "2026-07-26T00:34:19.365257",
    "-" * 60 + "*" * 60,
    "1" * 40,
    "no-digits-in-this-very-long-hyphenated-run",
    "31 is not long enough: " + "a1" * 15 + "a",
    "'Response' object does not support the asynchronous context manager protocol",
    '日本語のエラー 🙂 `quoted` "text" \\1 \\g<0>',
]


def in_duckdb(texts: Iterable[str]) -> list[str]:
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select {redacted_sql('text')} from (select unnest($texts::varchar[]) as text)",
            {"texts": list(texts)},
        ).fetchall()
    return [row[0] for row in rows]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_goes(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert REDACTED in redact(text)
    assert in_duckdb([text]) == [redact(text)]


@pytest.mark.parametrize("text", CLEAN)
def test_other_text_stays(text: str) -> None:
    assert redact(text) == text
    assert in_duckdb([text]) == [text]


def test_what_surrounds_a_secret_stays() -> None:
    assert redact("https://h/p?key=abc&alt=sse") == "https://h/p?key=[redacted]&alt=sse"
    assert (
        redact("Incorrect API key provided: sk-a***b. You") == "Incorrect API key provided: [redacted]. You"
    )
    assert redact("postgresql://app:hunter2@db:5432/x") == "postgresql://[redacted]@db:5432/x"


def test_a_key_of_our_own_is_still_told_apart() -> None:
    assert redact(f"no alm_ab12cd34ef_{'Zy-_' * 10}abc!") == "no alm_ab12cd34ef_[redacted]!"


def test_redacting_twice_changes_nothing() -> None:
    for text, _ in SECRETS:
        assert redact(redact(text)) == redact(text)


def test_null_stays_null_and_long_text_is_cut_after_redaction() -> None:
    # A secret across the limit must not leave its first half.
    text = "word " * 198 + "sk-" + "a1" * 40
    assert len(redact(text)) <= KEPT_CHARACTERS
    long = "é " * 900 + "sk-" + "a1" * 40
    assert in_duckdb([text, long]) == [redact(text), redact(long)[:KEPT_CHARACTERS]]
    with duckdb.connect() as connection:
        query = f"select {redacted_sql('text')} from (select cast(null as varchar) as text)"
        assert connection.execute(query).fetchall() == [(None,)]


LETTERS = ("'", '"', ":", "=", "&", "\n", "é", "[", "]", "-", "_", ".", "@", " ", "\\", "\u2028", "İ")
PIECES = st.sampled_from(
    (
        *LETTERS,
        "key=",
        "alm_session_",
        "alm_ab12cd34ef_",
        "Bearer ",
        "sk-",
        "://",
        "a1" * 9,
        "Ab9",
        "***",
        "token",
        "eyJ",
        "x" * 20,
        "api_key",
    )
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(PIECES, max_size=12).map("".join), min_size=1, max_size=20))
def test_duckdb_and_python_agree(texts: list[str]) -> None:
    assert in_duckdb(texts) == [redact(text)[:KEPT_CHARACTERS] for text in texts]


def test_a_value_is_shown_short_quoted_and_on_one_line() -> None:
    assert shown("a\nb\0") == r"'a\nb\x00'"
    assert shown("x" * 100, 10) == "'xxxxxxxxx…'"
    assert "hunter2" not in shown("postgresql://app:hunter2@db/x")
    assert json.dumps(shown("é")) == "\"'\\u00e9'\""
