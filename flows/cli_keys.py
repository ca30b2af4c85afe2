"""`almanac keys`: who may ask the API, and who may no longer."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from flows.cli_context import moment_of, settings_now, user_name

keys_app = typer.Typer(
    help="Keys of the API and the dashboard: make, list and revoke them. There is none until you make one.",
    no_args_is_help=True,
)


class KeysFormat(StrEnum):
    text = "text"
    json = "json"


@keys_app.command("create")
def create_key(
    scope: Annotated[
        str,
        typer.Option(
            metavar="SCOPE",
            help="Whose figures it shows: platform (everything), organization:ID or team:ID.",
        ),
    ],
    name: Annotated[str, typer.Option(metavar="TEXT", help="What it is for, as the list says it.")],
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="Nd|DATE",
            help="When it ends: days from now (90d), or a date (2027-01-31: 00:00 UTC of that day) [never].",
        ),
    ] = None,
    who: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who makes it [you].")] = None,
) -> None:
    """Make a key and print it, this once: only its hash is kept.

    The key alone goes to stdout, everything else to stderr.
    """
    from flows.key_listing import doubt
    from flows.key_records import KEY_FORM, parse_expiry
    from flows.key_records import create_key as create
    from flows.ops_store import open_ops_store
    from flows.review_scopes import parse_scope

    now = moment_of(None)
    whose = parse_scope(scope)
    ends = None if expires is None else parse_expiry(expires, now)
    settings = settings_now()
    key = create(
        open_ops_store(settings),
        scope=whose,
        name=name,
        created_by=who or user_name(),
        expires_at=ends,
        now=now,
    )
    match = KEY_FORM.fullmatch(key)
    assert match is not None
    until = "without an expiry" if ends is None else f"until {ends:%Y-%m-%d %H:%M} UTC"
    typer.echo(
        f"Key {match['prefix']} for {whose}, {until}. This is the only time that it is shown: keep it now.\n"
        f"`almanac keys revoke {match['prefix']}` ends it.",
        err=True,
    )
    typer.echo(key)
    warning = doubt(settings, whose)
    if warning is not None:
        typer.echo(f"almanac: {warning}", err=True)


@keys_app.command("list")
def list_keys(
    output_format: Annotated[KeysFormat, typer.Option("--format")] = KeysFormat.text,
) -> None:
    """Every key that was ever made: whose, until when, when it was last used, and whether it still opens."""
    from flows.key_listing import as_json, as_table
    from flows.key_records import list_keys as listed
    from flows.ops_store import open_ops_store

    show = as_json if output_format is KeysFormat.json else as_table
    typer.echo(show(listed(open_ops_store(settings_now())), moment_of(None)))


@keys_app.command("revoke")
def revoke_key(
    prefix: Annotated[
        str, typer.Argument(metavar="PREFIX", help="The key's prefix, as the list shows it; or the key.")
    ],
    who: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who revokes it [you].")] = None,
) -> None:
    """End a key, and every session that began with it, for good: within a second it opens nothing."""
    from flows.key_records import revoke_key as revoke
    from flows.ops_store import open_ops_store

    record = revoke(open_ops_store(settings_now()), prefix, who or user_name(), moment_of(None))
    typer.echo(
        f"{record.prefix} for {record.scope}, {record.name}: revoked at {record.revoked_at} UTC "
        f"by {record.revoked_by}"
    )
