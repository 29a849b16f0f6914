"""The pure parts of the shared model client, by tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from remediator_openai.openai_llm import OpenaiLlm

from remediator.errors import LlmAuthError, LlmError
from remediator.llm import ServerEvents, TryAgainError
from remediator.llm.address import checked_url, is_loopback
from remediator.llm.answer_json import read_arguments, read_object
from remediator.llm.failure import Refusal, failure, refusal_in, told
from remediator.llm.waiting import is_retried, retry_after, wait_seconds
from remediator.redact import Redactor

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
STREAM = '\ufeffevent: a\r\ndata: {"x":\r\ndata: 1}\r\n\r\n: a comment\n\ndata:zwei ü\r\rid: 7\nretry: 3\ndata\n\ndata: [DONE]\n\n'.encode()
EVENTS = ['{"x":\n1}', "zwei ü", "[DONE]"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_a_stream_reads_alike_in_pieces_of_any_size(size: int) -> None:
    stream, found = ServerEvents(), []
    for at in range(0, len(STREAM), size):
        found += stream.feed(STREAM[at : at + size])
    found += stream.feed(b"", last=True)
    assert found == EVENTS and not stream.pending


@pytest.mark.parametrize("cut", [b'data: {"a": 1}', b'data: {"a": 1}\n', b"data"])
def test_an_event_that_did_not_end_is_not_one(cut: bytes) -> None:
    stream = ServerEvents()
    assert stream.feed(b"data: 1\n\n" + cut) + stream.feed(b"", last=True) == ["1"]
    assert stream.pending


def test_what_began_can_be_had_apart() -> None:
    stream = ServerEvents()
    assert stream.feed(b'data: 1\n\ndata: {"a": 1}') == ["1"]
    assert stream.rest() == ['{"a": 1}'] and stream.rest() == []


@pytest.mark.parametrize("bad", [b"data: \xff\n\n", b"data: \xc3"])
def test_a_stream_that_is_not_utf8_is_tried_again(bad: bytes) -> None:
    stream = ServerEvents()
    with pytest.raises(TryAgainError, match="UTF-8"):
        stream.feed(bad, last=True)


@pytest.mark.parametrize(
    "url",
    ["https://a.example/v1/", "http://127.0.0.1:80", "http://localhost:1/v1", "http://[::1]:1", "http://10.1.2.3/v1", "http://192.168.1.1"],
)
def test_fit_addresses(url: str) -> None:
    assert checked_url(url, allow_http=False) == url.rstrip("/")


UNFIT = [
    ("http://a.example", "must be https"), ("http://8.8.8.8", "must be https"), ("http://0.0.0.0:1", "must be https"), ("ftp://a", "https"),
    ("a.example/v1", "https"), ("https://", "https"), ("https://me:pw@a.example", "user or password"), ("https://me@a.example", "user or password"),
    ("https://a.example?key=1", "query"), ("https://a.example#x", "fragment"), ("https://a.example/a b", "spaces"), ("https://a.example:99999", "URL"),
    ("http://localhost.evil.example", "must be https"), ("http://127.0.0.1.evil.example", "must be https"), ("", "https"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "why"), UNFIT)
def test_unfit_addresses(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        checked_url(url, allow_http=False)


def test_the_operator_may_allow_http() -> None:
    assert checked_url("http://gpu:8000/v1", allow_http=True) == "http://gpu:8000/v1"


@pytest.mark.parametrize(
    ("url", "is_it"), [("http://127.0.0.2", True), ("http://[::1]:1", True), ("https://localhost", True), ("http://10.0.0.1", False)]
)
def test_loopback(url: str, is_it: bool) -> None:
    assert is_loopback(url) is is_it


AFTER = [
    ("3", 3.0), ("0.5", 0.5), ("-1", 0.0), ("Wed, 25 Nov 2026 12:00:30 GMT", 30.0), ("Wed, 25 Nov 2026 11:00:00 GMT", 0.0), ("soon", None), ("", None),
    ("nan", None), ("inf", None),
]  # fmt: skip


@pytest.mark.parametrize(("value", "seconds"), AFTER)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


WAITS = [(1, None, 0.5, 1.0), (2, None, 1.0, 2.0), (3, None, 2.0, 4.0), (99, None, 15.0, 30.0), (1, 7.0, 7.0, 8.0), (1, 999.0, 30.0, 30.0)]


@pytest.mark.parametrize(("tried", "asked", "least", "most"), WAITS)
def test_waits_double_within_bounds(tried: int, asked: float | None, least: float, most: float) -> None:
    assert [wait_seconds(tried, asked, first=1.0, most=30.0, chance=chance) for chance in (0.0, 1.0)] == [least, most]


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_statuses_that_are_tried_again(status: int) -> None:
    assert is_retried(status)


NOES: list[tuple[dict[str, Any], int | None]] = [
    ({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, 529),
    ({"error": {"code": 429, "message": "x"}}, 429),
    ({"error": {"type": "invalid_request_error", "code": None}}, 400),
    ({"error": {"code": "insufficient_quota"}}, 402),
    ({"error": "it broke"}, 500),
    ({"type": "error", "code": "rate_limit_exceeded", "message": "x"}, 429),
    ({"error": None, "choices": []}, None),
    ({"type": "message"}, None),
]


@pytest.mark.parametrize(("document", "status"), NOES)
def test_a_no_inside_of_an_answer(document: dict[str, Any], status: int | None) -> None:
    found = refusal_in(document)
    assert (found.status if found else None) == status


MEANINGS = [
    (301, LlmError),
    (400, LlmError),
    (401, LlmAuthError),
    (402, LlmAuthError),
    (403, LlmAuthError),
    (404, LlmError),
    (429, TryAgainError),
]


@pytest.mark.parametrize(("status", "kind"), MEANINGS)
def test_what_a_no_means(status: int, kind: type[Exception]) -> None:
    assert type(failure(Refusal(status, b""), "m", Redactor())) is kind


SAID = [
    (b'{"error": {"message": "a\\nb", "code": "c1"}}', "a b (c1)"), (b'{"message": "m"}', "m"), (b'{"detail": "d"}', "d"), (b'{"error": "e"}', "e"),
    (b"<html>\x1b[31m", "a web page"), (b"<html><title> 502 Bad\x1b[31m\nGateway</title>", "a web page (502 Bad\\x1b[31m Gateway)"),
    (b'[{"error": {"code": 400, "message": "no thought_signature", "status": "INVALID_ARGUMENT"}}]', "no thought_signature"),
    (b"\xff", "\ufffd"), (b"", ""), (b"[1]", "[1]"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "line"), SAID)
def test_what_a_server_says_for_itself(body: bytes, line: str) -> None:
    assert told(body, Redactor()) == line


def test_a_secret_is_blanked_before_the_text_is_cut() -> None:
    assert "topsecret" not in told(b"x" * 495 + b"topsecretkey", Redactor(("topsecretkey",)))


@pytest.mark.parametrize("data", ["{", "[1]", "null", '{"a": NaN}', '{"a": Infinity}', "[" * 200_000, b"\xff{}"])
def test_json_that_is_of_no_use(data: str | bytes) -> None:
    with pytest.raises(TryAgainError):
        read_object(data)


@pytest.mark.parametrize(
    ("value", "arguments"), [(None, {}), ("", {}), (" ", {}), ("{}", {}), ({"a": 1}, {"a": 1}), ('{"\\ud800": "\\udfff"}', {"?": "?"})]
)
def test_arguments(value: Any, arguments: dict[str, Any]) -> None:
    assert read_arguments(value) == arguments


@pytest.mark.parametrize(
    "name", ["Authorization", "x-api-key", "api-key", "Cookie", "Host", "Content-Length", "Idempotency-Key", "X-Auth-Token", "a b", ""]
)
def test_headers_that_may_not_be_set(name: str) -> None:
    with pytest.raises(ValueError, match="header|may not be set"):
        OpenaiLlm(model="m", headers={name: "x"})


def test_a_header_cannot_carry_another() -> None:
    with pytest.raises(ValueError, match="no header"):
        OpenaiLlm(model="m", headers={"X-A": "1\r\nX-B: 2"})


def test_importing_a_model_plugin_loads_no_network_library() -> None:
    import subprocess
    import sys

    code = "import remediator_anthropic.anthropic_llm, remediator_openai.openai_responses_llm, sys; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
