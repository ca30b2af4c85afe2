"""What can be wrong with a question, and the one shape in which every endpoint says so."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str


class ApiError(Exception):
    """Ends a request with a status and a sentence for people."""

    status: int

    def __init__(self, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = headers or {}


class NotSignedIn(ApiError):
    """No key, or none that is good."""

    status = 401


class NotFound(ApiError):
    """It is not there, or not this caller's to see: both are said alike."""

    status = 404


class Wrong(ApiError):
    """The question itself cannot be read."""

    status = 422


class TooMany(ApiError):
    """Asked too often."""

    status = 429


class NotNow(ApiError):
    """Nothing can be read at the moment."""

    status = 503


_DESCRIPTIONS = {
    401: "No key, or one that is not good (any more).",
    404: "It is not there, or not yours to see.",
    422: "The question cannot be read.",
    429: "Asked too often; Retry-After says when to ask again.",
    503: "Nothing is published, or it cannot be read now.",
}


def answers_of(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that an endpoint can answer with, for its documentation."""
    return {status: {"model": Problem, "description": _DESCRIPTIONS[status]} for status in statuses}


OF_ANY = answers_of(401, 422, 429, 503)
OF_ONE = answers_of(401, 404, 422, 429, 503)
