"""Errors as the service words them: a status, an error code and a message."""

from __future__ import annotations

from typing import Any

STATUS = {
    "INVALID_PARAMETER_VALUE": 400,
    "MALFORMED_REQUEST": 400,
    "BAD_REQUEST": 400,
    "INVALID_STATE": 400,
    "DIRECTORY_NOT_EMPTY": 400,
    "MAX_NOTEBOOK_SIZE_EXCEEDED": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "NOT_FOUND": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "CATALOG_DOES_NOT_EXIST": 404,
    "SCHEMA_DOES_NOT_EXIST": 404,
    "TABLE_DOES_NOT_EXIST": 404,
    "RESOURCE_ALREADY_EXISTS": 400,
    "ALREADY_EXISTS": 409,
    "RESOURCE_CONFLICT": 409,
    "CONFLICT": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "INTERNAL_ERROR": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
}


class ServiceError(Exception):
    """A call that the service refuses. status: the HTTP status, from the code unless given."""

    def __init__(self, code: str, message: str, *, status: int | None = None, details: list[Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or STATUS.get(code, 400)
        self.details = details or []

    def body(self) -> dict[str, Any]:
        return {"error_code": self.code, "message": self.message, "details": self.details}


def bad(message: str) -> ServiceError:
    """INVALID_PARAMETER_VALUE."""
    return ServiceError("INVALID_PARAMETER_VALUE", message)


def not_implemented(call: str, why: str = "") -> ServiceError:
    """501, naming the call that the local workspace cannot do for real."""
    return ServiceError(
        "NOT_IMPLEMENTED", f"{call} is not implemented by the local workspace{': ' + why if why else ''}"
    )
