"""What is read of a failed request in the LiteLLM proxy's spend logs: who was refused, and in which words.

Facts about the columns: `spec/litellm-proxy.md` sections 2.2 and 2.3. The key itself, prompts, answers and
traces are never read; of the error's text only its beginning.
"""

from __future__ import annotations

from collections.abc import Callable

from flows.source_reading import Reading

# Characters of a text of the error; a longer one may repeat the prompt.
LONGEST_TEXT = 300
# Ids of teams and keys that are longer, or look like a key, become the first digits of their hash. As those
# of the access log (flows/access_log_lines.py): one key has one name in both.
LONGEST_ID = 64
# What LiteLLM calls the key of its own settings.
MASTER_KEY = "litellm_proxy_master_key"


def is_failure(row: Reading) -> str:
    """Older rows say it in their metadata alone, the oldest ones not at all."""
    told = _first(row.column("status"), row.json_text("metadata", "status"))
    return f"coalesce({told}, 'success') = 'failure'"


def client(row: Reading) -> str:
    """Where it came from, as the nearest proxy saw it: what stands before that is the client's word."""
    given = _first(row.column("requester_ip_address"), row.json_text("metadata", "requester_ip_address"))
    printed = f"regexp_replace(lower({given}), '[[:cntrl:]]', '', 'g')"
    whole = f"regexp_replace({printed}, '[, ]+$', '')"
    nearest = f"trim(regexp_replace({whole}, '^.*,', ''))"
    bare = rf"regexp_replace({nearest}, '^([0-9.]+):[0-9]+$', '\1')"
    address = rf"regexp_replace({bare}, '^\[([0-9a-fA-F:.]+)\](:[0-9]+)?$', '\1')"
    return f"nullif(left({address}, {LONGEST_ID}), '')"


def key_id(row: Reading) -> str:
    """The key's alias, or the first digits of its hash.

    Where LiteLLM did not know the key it may have stored what was sent, whatever that looks like.
    """
    alias, token = (row.json_text("metadata", name) for name in ("user_api_key_alias", "user_api_key"))
    given = _first(token)
    named = (
        f"case when {row.matches(given, '^[0-9a-f]{64}$')} then lower(left({given}, 8)) "
        f"when {given} = '{MASTER_KEY}' then {given} else left({row.sha256(given)}, 8) end"
    )
    return f"coalesce({_id(row, _first(alias))}, {named})"


def team_id(row: Reading) -> str:
    return _id(row, _first(row.column("team_id"), row.json_text("metadata", "user_api_key_team_id")))


def model_group(row: Reading) -> str:
    """What was asked for: the public name, else the provider's."""
    return f"left({_first(row.column('model_group'), row.column('model'))}, {LONGEST_TEXT})"


def error(name: str) -> Callable[[Reading], str]:
    """What metadata.error_information says under this name."""
    return lambda row: f"left({_first(row.json_text('metadata', 'error_information', name))}, {LONGEST_TEXT})"


def error_text(row: Reading) -> str:
    """The beginning of the error's text, without the key that the proxy says it was given."""
    given = _first(row.json_text("metadata", "error_information", "error_message"))
    return rf"regexp_replace(left({given}, {LONGEST_TEXT}), '(received *= *)[^, ]+', '\1[redacted]', 'i')"


def _first(*texts: str) -> str:
    """The first that says something."""
    return f"coalesce({', '.join(f'''nullif({text}, '')''' for text in texts)})"


def _id(row: Reading, given: str) -> str:
    is_hash = row.matches(given, "^[0-9a-f]{64}$")
    is_secret = row.matches(given, "^(bearer|basic)([^a-z0-9_]|$)|^(sk|pk|rk)[-_]|^eyJ")
    return (
        f"case when {is_hash} then lower(left({given}, 8)) "
        f"when {is_secret} or length({given}) > {LONGEST_ID} then left({row.sha256(given)}, 8) "
        f"else {given} end"
    )
