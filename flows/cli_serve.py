"""`almanac serve`: the dashboard and the read-only API, until it is stopped."""

from __future__ import annotations

import ipaddress
from typing import Annotated

import typer

from flows.cli_context import moment_of, settings_now


def serve_api(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Listen here.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="And on this port; 0 takes a free one.")] = 8003,
) -> None:
    """Serve the dashboard and the read-only API over what is published, until it is stopped.

    Every answer asks for a key: `almanac keys create` makes one. On this machine alone unless --host says
    otherwise; keys then go over the network as they are, so put a proxy with HTTPS in front.
    """
    from api.server import run_service
    from flows.key_records import list_keys
    from flows.ops_store import open_ops_store

    settings = settings_now()
    if not any(key.revoked_at is None for key in list_keys(open_ops_store(settings))):
        typer.echo(
            "There is no key yet, so nobody can see anything. Make one: "
            "almanac keys create --scope platform --name operators",
            err=True,
        )
    if not _is_loopback(host):
        typer.echo(f"{host} is not this machine alone: put a proxy with HTTPS in front.", err=True)
    run_service(
        settings,
        host=host,
        port=port,
        now=lambda: moment_of(None),
        say=lambda address: typer.echo(f"Serving {address}/monitoring and {address}/openapi.json", err=True),
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
