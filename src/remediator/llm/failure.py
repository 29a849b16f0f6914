"""What a server's no means: try again, mend the key, or mend the question."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from remediator.errors import LlmAuthError, LlmError, LlmTooLongError
from remediator.llm.answer import TryAgainError
from remediator.llm.answer_json import inner, text
from remediator.llm.waiting import is_retried
from remediator.redact import Redactor, printable

_LONGEST = 500
_BY_KIND = {
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "context_length_exceeded": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "insufficient_quota": 402,
    "billing_hard_limit_reached": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "overloaded_error": 529,
}
_TOO_LONG = (
    "context_length_exceeded", "exceed_context_size", "context length", "context window", "context size", "context limit",
    "prompt is too long", "prompt too long", "input is too long", "too many input tokens", "input token count", "request_too_large",
    "reduce the length",
)  # fmt: skip
_PAGE_TITLE = re.compile(r"(?is)<title[^>]*>(.*?)</title>")
_NO_MONEY = ("credit balance", "insufficient_quota", "billing_hard_limit", "spend limit", "spending limit")


class Refusal(Exception):  # noqa: N818 - never leaves this package: `failure` makes an error of it
    """The server said no: with a status, or inside of an answer that began well."""

    def __init__(self, status: int, body: bytes, *, after_seconds: float | None = None, began: bool = False) -> None:
        super().__init__(status)
        self.status, self.body, self.after_seconds, self.began = status, body, after_seconds, began


def refusal_in(document: Mapping[str, Any]) -> Refusal | None:
    """Return the no that an answer with status 200, or an event of a stream, turns out to be."""
    error = document.get("error") or (document if document.get("type") == "error" else None)
    if not error:
        return None
    kinds = [error.get(name) for name in ("code", "type", "status")] if isinstance(error, dict) else []
    status = next((kind for kind in kinds if isinstance(kind, int) and 400 <= kind <= 599), None)
    status = status or next((_BY_KIND[kind] for kind in kinds if isinstance(kind, str) and kind in _BY_KIND), 500)
    return Refusal(status, json.dumps(document).encode(), began=True)


def failure(refusal: Refusal, name: str, redact: Redactor) -> TryAgainError | LlmError:
    """Return what a no means for the question that was asked. Nothing secret and nothing unprintable is in it."""
    status, said = refusal.status, told(refusal.body, redact)
    why = f"{name} answered {status}" + (f": {said}" if said else "")
    if 300 <= status <= 399:
        return LlmError(
            f"{name} answered {status}, a redirect to another address; redirects are not followed",
            hint="put the final address into `base_url`",
        )
    if status == 402 or (status < 500 and any(word in said.lower() for word in _NO_MONEY)):
        return LlmAuthError(
            f"{why} (the spend limit or credit is used up)", hint="raise it at the provider; a run that stopped goes on with --resume"
        )
    if status in (401, 403):
        return LlmAuthError(
            f"{why} (the key is missing or refused)",
            hint="mend the key; remediator models list says where it is from. A run that stopped goes on with --resume",
        )
    if status == 413 or (status in (400, 422, 500) and any(word in said.lower() for word in _TOO_LONG)):
        return LlmTooLongError(why, hint="lower `context_bytes` of the fixer, or choose a model that takes more")
    if is_retried(status):
        return TryAgainError(why, after_seconds=refusal.after_seconds, charged=refusal.began)
    return LlmError(why, hint=_HINTS.get(status, ""))


_HINTS = {
    400: "the server does not take the question; check `model` and the options in [models.NAME]",
    404: "check `model` and `base_url` in [models.NAME]; most servers want /v1 at the end of `base_url`",
    405: "check `base_url` in [models.NAME]: something else answers there",
    422: "the server does not take the question; check `model` and the options in [models.NAME]",
}


def told(body: bytes, redact: Redactor) -> str:
    """Return what the server says for itself, on one printable line."""
    raw = body.decode("utf-8", "replace")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, list) and len(document) == 1:
        document = document[0]  # some servers put even an error into a list
    if document is None and raw.lstrip()[:1] == "<":
        found = _PAGE_TITLE.search(raw)
        raw = f"a web page ({found[1].strip()})" if found else "a web page"
    if isinstance(document, dict):
        error = document.get("error")
        raw = (
            text(inner(document, "error").get("message"))
            or text(error)
            or text(document.get("message"))
            or text(document.get("detail"))
            or raw
        )
        kind = inner(document, "error").get("code") or inner(document, "error").get("type")
        raw = f"{raw} ({kind})" if isinstance(kind, str) and kind and kind not in raw else raw
    # Blanked before it is cut: half a key at the end would not be known as one.
    line = " ".join(printable(redact(raw), keep_newlines=True).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
