"""Every error as problem+json (RFC 9457), and none of them tells more than its code and a sentence of ours."""

from __future__ import annotations

import traceback
from collections.abc import Mapping

import structlog
from aiohttp import web

from remediator.clearinghouse.wire.answers import ProblemDetail
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import Problem
from remediator.errors import RemediatorError
from remediator.records.record import canonical_json
from remediator.redact import printable

MEDIA_TYPE = "application/problem+json"
PROBLEM = web.RequestKey("problem", str)
"""The code that a request was refused with, for the log and the metrics."""

_TITLES: Mapping[Problem, str] = {code: code.value.replace("-", " ").capitalize() for code in Problem}
_BY_STATUS = {
    400: Problem.bad_request,
    401: Problem.unauthorised,
    403: Problem.forbidden,
    404: Problem.not_found,
    405: Problem.method_not_allowed,
    408: Problem.timed_out,
    413: Problem.too_large,
    429: Problem.too_many,
    431: Problem.too_large,
    503: Problem.unavailable,
}
_RETRY_SECONDS = 2
_log = structlog.get_logger()


def not_found() -> RefusedError:
    """Return the refusal for whatever is not there, or not for this caller: the two must read alike."""
    return RefusedError(Problem.not_found, "there is nothing of that name")


def problem(error: RefusedError, *, status: int | None = None) -> web.Response:
    """Return the answer of a refusal."""
    retry = error.retry_after_seconds
    if retry is None and error.code in (Problem.unavailable, Problem.too_many):
        retry = _RETRY_SECONDS
    detail = ProblemDetail(
        title=_TITLES[error.code],
        status=status or error.code.status,
        code=error.code,
        detail=printable(error.message)[:1000],
        hint=printable(error.hint)[:1000],
        retry_after_seconds=retry,
    )
    headers = {"Cache-Control": "no-store"}
    if retry is not None:
        headers["Retry-After"] = str(retry)
    if error.code is Problem.unauthorised:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(body=canonical_json(detail.as_json()), status=detail.status, content_type=MEDIA_TYPE, headers=headers)


def of_status(status: int) -> RefusedError:
    """Return the refusal for an HTTP status that the server library came to by itself."""
    code = _BY_STATUS.get(status, Problem.bad_request if status < 500 else Problem.internal)
    if code is Problem.not_found:
        return not_found()
    return RefusedError(code, _SENTENCES.get(code, "the request could not be read as HTTP"))


_SENTENCES = {
    Problem.method_not_allowed: "this address does not know that method",
    Problem.too_large: "the request is larger than this clearinghouse reads",
    Problem.timed_out: "the request took too long to arrive",
    Problem.internal: "the clearinghouse made a mistake, and noted it",
    Problem.unavailable: "the clearinghouse cannot answer now",
    Problem.forbidden: "this is not for you",
    Problem.unauthorised: "a token is needed",
}


def answer_of(request: web.Request, error: Exception) -> web.Response:
    """Return the answer of whatever a handler raised, and note its code for the log."""
    refusal = _refusal(error)
    request[PROBLEM] = refusal.code
    own = error.status if isinstance(error, web.HTTPException) and error.status >= 400 else None
    answer = problem(refusal, status=own)
    if isinstance(error, web.HTTPMethodNotAllowed):
        answer.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
    return answer


def _refusal(error: Exception) -> RefusedError:
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, web.HTTPException):
        return of_status(error.status)
    if isinstance(error, TimeoutError):
        return RefusedError(Problem.unavailable, "the clearinghouse took too long", hint="ask again: what was done is done once")
    if isinstance(error, RemediatorError | OSError):
        _noted("refused_by_state", error)
        return of_status(503)
    _noted("handler_failed", error)
    return of_status(500)


def _noted(event: str, error: Exception) -> None:
    # By place and kind only: the text of an error may hold a secret or what is under embargo.
    frames = [
        f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)[-8:]
    ]
    _log.error(event, kind=type(error).__name__, frames=frames)
