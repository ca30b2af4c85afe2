"""Ids in paths. They are opaque: slashes, quotes, line ends and all, percent-encoded by whoever asks."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from starlette.convertors import Convertor, register_url_convertor


class _AnyId(Convertor[str]):
    regex = r"[\s\S]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


# before any route names it: `{team_id:id}`
register_url_convertor("id", _AnyId())

TeamId = Annotated[str, Path(description="The team's id, percent-encoded.", max_length=500)]
OrganizationId = Annotated[str, Path(description="The organization's id, percent-encoded.", max_length=500)]
