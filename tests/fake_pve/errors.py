"""How the API refuses: a status, the reason of the status line, and per-field errors."""

from __future__ import annotations

from collections.abc import Mapping


class ApiError(Exception):
    """An answer other than success; `reason` is what the status line says."""

    def __init__(self, status: int, reason: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.errors = dict(errors or {})


class RefusedError(ApiError):
    """The answer of the API after an exception in its code: status 500 and the text."""

    def __init__(self, reason: str) -> None:
        super().__init__(500, reason)


def bad_parameters(errors: Mapping[str, str]) -> ApiError:
    """The answer to parameters that the schema, or the code after it, does not take."""
    return ApiError(400, "Parameter verification failed.", errors)


def forbidden(path: str, privileges: str) -> ApiError:
    """The answer to a user who lacks `privileges` on `path`."""
    return ApiError(403, f"Permission check failed ({path}, {privileges})")
