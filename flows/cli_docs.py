"""`almanac docs`: every column of the published warehouse, and where it comes from."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from flows.cli_context import progress_now, settings_now


def docs(
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write the page [docs/ of the data folder].")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Then show it on 127.0.0.1, until it is stopped.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="With --serve: the port; 0 takes a free one.")
    ] = 8098,
) -> None:
    """Write dbt's documentation of the published warehouse as one page: every column, and the lineage."""
    from flows.docs_site import write_docs

    settings = settings_now()
    folder = (output or settings.data_dir / "docs").expanduser().absolute()
    report = write_docs(settings, folder, progress=progress_now())
    typer.echo(report)
    if serve:
        from flows.docs_server import DocsServer

        with DocsServer(report.path, port) as server:
            typer.echo(f"{server.url} until you stop it with Ctrl-C")
            with suppress(KeyboardInterrupt):
                server.serve_forever()
