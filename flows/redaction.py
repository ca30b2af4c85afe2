"""What a secret looks like in free text: one list, used as RE2 by DuckDB and as `re` by Python.

Providers echo keys, tokens and signed URLs in their error texts, and the platform stores them.
The list errs towards redacting: a lost word of an error message costs less than a leaked key.
So every pattern keeps to what both engines read alike: no look-around, no back-references,
flags only inside groups.
"""

import re
from dataclasses import dataclass
from functools import cache

REDACTED = "[redacted]"

# Longest text that is landed, in characters; the platform's own column holds no more.
KEPT_CHARACTERS = 1000

# Private-use characters that bracket a long run while it is decided whether it may stay.
_OPEN, _CLOSE = "\ue000", "\ue001"


@dataclass(frozen=True, slots=True)
class Rule:
    """One replacement; `\\1` is the first group, in both engines."""

    pattern: str
    replacement: str


_SECRET_NAME = (
    r"(?:[a-z0-9]+[_-])*"
    r"(?:api|access|auth|account|client|master|private|secret|session|signing|subscription|virtual)"
    r"[_-]?(?:key|token|secret|id[_-]?token)"
)
_NAMES = (
    rf"{_SECRET_NAME}|key|apikey|token|password|passwd|passphrase|pwd|secret|signature|sig|credential"
    r"|authorization|cookie"
)

RULES: tuple[Rule, ...] = (
    # https://user:password@host and https://token@host
    Rule(r"(://)[^\s/?#'\"<>]+@", rf"\1{REDACTED}@"),
    # {'x-api-key': '…'} as Python and JSON print it, and password='…' with spaces inside
    Rule(rf"(\b(?i:{_NAMES})['\"]?\s*[:=]\s*')[^'\[][^']*", rf"\1{REDACTED}"),
    Rule(rf"(\b(?i:{_NAMES})['\"]?\s*[:=]\s*\")[^\"\[][^\"]*", rf"\1{REDACTED}"),
    # ?key=…, api_key=…, token=…, password=…, in URLs and in text
    Rule(
        rf"((?:\b|%[0-9A-Fa-f]{{2}})(?i:{_NAMES})(?:=|%3[dD])[\"']?)[^\s&'\"<>\[][^\s&'\"<>]*",
        rf"\1{REDACTED}",
    ),
    # password: … and cookie: … as text and headers print them; the value goes whatever its length
    Rule(r"(\b(?i:password|passwd|passphrase|pwd)\s*:\s*)[^\s'\"<>\[][^\s'\"<>]*", rf"\1{REDACTED}"),
    Rule(
        r"(\b(?i:set-cookie|cookie|authorization|x-goog-api-key)\s*:\s*)[^\s'\"<>\[][^\r\n'\"<>]*",
        rf"\1{REDACTED}",
    ),
    # incoming webhooks: whoever has the address may post
    Rule(r"(hooks\.slack\.com/(?:services|workflows|triggers)/)[A-Za-z0-9/_-]+", rf"\1{REDACTED}"),
    # x-api-key: … as a header prints it; eight characters, so that "api_key: field required" stays
    Rule(rf"(\b(?i:{_SECRET_NAME}|apikey)\s*:\s*)[^\s'\"<>\[][^\s'\"<>]{{7,}}", rf"\1{REDACTED}"),
    # Bearer …: a digit or a token's sign, or long; so that "Bearer authentication required" stays
    Rule(
        r"(\b(?i:bearer)\s+)(?:[A-Za-z.]*[0-9_~+/=*-][A-Za-z0-9._~+/=*-]*|[A-Za-z.]{15,})",
        rf"\1{REDACTED}",
    ),
    # Basic …: padded, or long; so that "Basic authentication required" stays
    Rule(
        r"(\b(?i:basic)\s+)(?:[A-Za-z0-9+/]{16,}={0,2}|[A-Za-z0-9+/]*[a-z][A-Z0-9+/=][A-Za-z0-9+/=]{4,})",
        rf"\1{REDACTED}",
    ),
    # our own keys and sessions; what lists show of a key stays, and says which one to revoke
    Rule(r"(alm_(?:[a-z0-9]{10}|session)_)[A-Za-z0-9_*-]+", rf"\1{REDACTED}"),
    # JSON web tokens
    Rule(r"\beyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)*", REDACTED),
    # OpenAI, Anthropic, Stripe and LiteLLM style keys, also shortened or masked by asterisks
    Rule(r"\b(?:sk|pk|rk)-(?:\.{2,})?[A-Za-z0-9_*-]{4,}(?:\.{2,}[A-Za-z0-9_*-]+)?", REDACTED),
    Rule(r"\b(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9*]{4,}", REDACTED),
    # Keys that the provider masked itself ("… key provided: ab****yz"): what it left is still a part
    Rule(r"[A-Za-z0-9][A-Za-z0-9_-]*\*{3,}[A-Za-z0-9_*-]*|\*{3,}[A-Za-z0-9_*-]*[A-Za-z0-9]", REDACTED),
    # Google, AWS, Slack, GitHub, Fireworks, Groq, xAI, OpenAI sessions
    Rule(r"\bAIza[A-Za-z0-9_*-]{8,}", REDACTED),
    Rule(r"\b(?:AKIA|ASIA)[A-Z0-9*]{8,}", REDACTED),
    Rule(r"\bxox[a-z]-[A-Za-z0-9*-]{6,}", REDACTED),
    Rule(r"\b(?:gh[oprsu]_|github_pat_|glpat-|fw_|gsk_|hf_|xai-|sess-)[A-Za-z0-9_*-]{8,}", REDACTED),
    Rule(r"\bya29\.[A-Za-z0-9._*-]{6,}", REDACTED),
    # Any run of 32 or more that holds both letters and digits. RE2 has no look-ahead to say "both", so
    # every long run is bracketed, those without digits or without letters are freed, the rest redacted.
    Rule(r"([A-Za-z0-9_-]{32,})", rf"{_OPEN}\1{_CLOSE}"),
    Rule(rf"{_OPEN}([A-Za-z_-]+|[0-9_-]+){_CLOSE}", r"\1"),
    Rule(rf"{_OPEN}[A-Za-z0-9_-]+{_CLOSE}", REDACTED),
)

# Matches every text that a rule would change: a clean text is passed in one look. The rules that need
# a bracket come after the one that sets it, which is among these.
SUSPICION = "|".join(f"(?:{rule.pattern})" for rule in RULES if _OPEN not in rule.pattern)


def redact(text: str) -> str:
    """The text without its secrets: for logs and error messages."""
    for pattern, replacement in _compiled():
        text = pattern.sub(replacement, text)
    return text


def shown(text: str, limit: int = 60) -> str:
    """A value as an error message may show it: redacted, in quotes, shortened, on one line."""
    clean = redact(text)
    return repr(clean if len(clean) <= limit else clean[: limit - 1] + "…")


def redacted_sql(expression: str) -> str:
    """The DuckDB expression that redacts the text of `expression` and keeps its first 1000 characters."""
    cleaned = expression
    for rule in RULES:
        cleaned = f"regexp_replace({cleaned}, {_literal(rule.pattern)}, {_literal(rule.replacement)}, 'g')"
    suspicious = f"regexp_matches({expression}, {_literal(SUSPICION)})"
    return f"left(case when {suspicious} then {cleaned} else {expression} end, {KEPT_CHARACTERS})"


@cache
def _compiled() -> tuple[tuple[re.Pattern[str], str], ...]:
    # ASCII: RE2's \b and \s know no other letters or spaces.
    return tuple((re.compile(rule.pattern, re.ASCII), rule.replacement) for rule in RULES)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
