"""The shared client against a real server on which everything goes wrong that can, by each protocol, streamed and not."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest
from pydantic import SecretStr
from remediator_anthropic.anthropic_llm import AnthropicLlm
from remediator_openai.openai_llm import OpenaiLlm
from remediator_openai.openai_responses_llm import OpenaiResponsesLlm

from remediator.contracts import Message, Price, Prompt, Reply, ToolCall, ToolSpec
from remediator.errors import LlmAuthError, LlmBusyError, LlmError, LlmTooLongError
from remediator.llm import HttpLlm
from remediator.records import Spend
from remediator.testing.llm_server import Asked, Fault, LlmServer

KEY = "a-very-secret-key-0123456789"
PRICE = Price(input=Decimal(3), output=Decimal(15))
ASK = Prompt(system="Be brief.", messages=(Message(role="user", text="Say yes."),), max_tokens=64)
KEYED = ASK.model_copy(update={"key": "case-1:attempt-1:3"})
YES = Reply(text="yes, and some more words so that the answer has several pieces")
CALLS = Reply(
    text="I look.",
    tool_calls=(
        ToolCall(id="c1", name="read", arguments={"path": "ä\u2028.py", "lines": [1, 2]}),
        ToolCall(id="c2", name="list", arguments={}),
    ),
    stop="tools",
)
TALK = Prompt(
    system="You read.",
    messages=(
        Message(role="user", text="Look."),
        Message(role="assistant", text="Well.", tool_calls=CALLS.tool_calls),
        Message(role="tool", call_id="c1", text="x = 1"),
        Message(role="tool", call_id="c2", text=""),
        Message(role="assistant", text="Done."),
        Message(role="user", text="And?"),
    ),
    tools=(ToolSpec(name="read", description="Reads.", parameters={"type": "object", "properties": {"path": {"type": "string"}}}),),
    temperature=0.5,
)

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(params=[AnthropicLlm, OpenaiLlm, OpenaiResponsesLlm], ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> type[HttpLlm]:
    return request.param


@pytest.fixture(params=[True, False], ids=["streamed", "whole"])
def stream(request: pytest.FixtureRequest) -> bool:
    return request.param


def make(kind: type[HttpLlm], server: LlmServer, **options: Any) -> HttpLlm:
    quick = {"backoff_seconds": 0.01, "max_wait_seconds": 0.05, "price": PRICE, "key": SecretStr(KEY)}
    return kind(model="some-model", base_url=server.url, **{**quick, **options})


async def test_a_conversation_arrives_as_it_was_meant(kind: type[HttpLlm], stream: bool) -> None:
    async with LlmServer([YES], key=KEY) as server:
        await make(kind, server, stream=stream).complete(TALK)
    assert (server.asked[0].prompt, server.asked[0].model, server.asked[0].stream) == (TALK, "some-model", stream)


async def test_text_tool_calls_and_spend_come_back(kind: type[HttpLlm], stream: bool) -> None:
    told = CALLS.model_copy(update={"spend": Spend(input_tokens=1000, output_tokens=50)})
    async with (
        LlmServer([told], key=KEY, price=PRICE, cached_tokens=600, written_tokens=100) as server,
        make(kind, server, stream=stream) as llm,
    ):
        reply = await llm.complete(ASK)
    assert (reply.text, reply.tool_calls, reply.stop, reply.model) == (CALLS.text, CALLS.tool_calls, "tools", "some-model")
    assert (reply.spend.input_tokens, reply.spend.output_tokens) == (1000, 50)
    assert server.charged.usd <= reply.spend.usd <= llm.ceiling(ASK).usd
    assert reply.spend.seconds > 0


async def test_a_cached_token_costs_what_the_price_says(kind: type[HttpLlm]) -> None:
    price = Price(input=Decimal(10), output=Decimal(0), cache_read=Decimal(1), cache_write=Decimal(20))
    told = YES.model_copy(update={"spend": Spend(input_tokens=1000, output_tokens=1)})
    async with LlmServer([told], price=price, cached_tokens=500, written_tokens=100) as server:
        reply = await make(kind, server, price=price).complete(ASK)
    assert reply.spend.usd == server.charged.usd
    assert reply.spend.usd == (Decimal("0.0065") if kind is AnthropicLlm else Decimal("0.0055"))


@pytest.mark.parametrize("stop", ["end", "length", "refused"])
async def test_why_it_stopped_is_told(kind: type[HttpLlm], stream: bool, stop: str) -> None:
    async with LlmServer([Reply(text="half a", stop=stop)]) as server:  # type: ignore[arg-type]
        reply = await make(kind, server, stream=stream).complete(ASK)
    assert (reply.stop, reply.text) == (stop, "half a")


MENDED = [
    *(Fault(kind="status", status=status) for status in (408, 429, 529)),
    Fault(kind="error-body", status=529),
    Fault(kind="stall"),
    Fault(kind="hang"),
    Fault(kind="cut"),
    Fault(kind="reset"),
    Fault(kind="bad-json"),
    Fault(kind="content-type"),
    Fault(kind="no-stop"),
]


@pytest.mark.parametrize("fault", MENDED, ids=lambda fault: f"{fault.kind}-{fault.status}")
async def test_what_another_try_may_mend_is_tried_again(kind: type[HttpLlm], stream: bool, fault: Fault) -> None:
    async with LlmServer([fault, YES], key=KEY) as server:
        # Only where silence is the fault has the time to run out; a busy machine needs its time for the good answer.
        llm = make(kind, server, stream=stream, max_seconds=1.5 if fault.kind in ("hang", "stall", "slow") else 30.0)
        assert (await llm.complete(ASK)).text == YES.text
    assert len(server.asked) == 2


@pytest.mark.parametrize("fault", MENDED, ids=lambda fault: f"{fault.kind}-{fault.status}")
async def test_tries_used_up_are_an_error_and_never_a_reply(kind: type[HttpLlm], stream: bool, fault: Fault) -> None:
    async with LlmServer(lambda asked: fault, key=KEY) as server:
        llm = make(kind, server, stream=stream, max_seconds=0.3, tries=2)
        with pytest.raises(LlmBusyError, match="no answer in 2 tries") as caught:
            await llm.complete(ASK)
    assert caught.value.transient
    assert caught.value.charged_tries >= server.charges


async def test_a_slow_answer_is_waited_for(kind: type[HttpLlm], stream: bool) -> None:
    async with LlmServer([Fault(kind="slow", seconds=0.2, reply=YES)]) as server:
        assert (await make(kind, server, stream=stream).complete(ASK)).text == YES.text


async def test_silence_ends_a_stream_long_before_the_whole_time_is_over(kind: type[HttpLlm]) -> None:
    began = time.monotonic()
    async with LlmServer([Fault(kind="stall"), YES]) as server:
        assert (await make(kind, server, idle_seconds=1.0).complete(ASK)).text == YES.text
    assert time.monotonic() - began < 60


FINAL = [
    (Fault(kind="status", status=400, message="no such field"), LlmError, "no such field"),
    (Fault(kind="status", status=404, message="no such model"), LlmError, "no such model"),
    (Fault(kind="status", status=413, message="too long"), LlmTooLongError, "too long"),
    (Fault(kind="status", status=400, message="prompt is too long: 210000 tokens > 200000 maximum"), LlmTooLongError, "210000"),
    (Fault(kind="status", status=400, message="maximum context length is 8192 tokens (context_length_exceeded)"), LlmTooLongError, "8192"),
    (Fault(kind="status", status=500, message="the request exceeds the available context size"), LlmTooLongError, "context size"),
    (Fault(kind="status", status=422, message="bad"), LlmError, "422"),
    (Fault(kind="status", status=401), LlmAuthError, "missing or refused"),
    (Fault(kind="status", status=403), LlmAuthError, "missing or refused"),
    (Fault(kind="status", status=402), LlmAuthError, "spend limit"),
    (Fault(kind="status", status=429, message="insufficient_quota: you exceeded your quota"), LlmAuthError, "spend limit"),
    (Fault(kind="status", status=400, message="Your credit balance is too low"), LlmAuthError, "spend limit"),
    (Fault(kind="error-body", status=401), LlmAuthError, "missing or refused"),
    (Fault(kind="error-body", status=400, message="oh no"), LlmError, "oh no"),
    (Fault(kind="huge", size=4 * 2**20), LlmError, "more than 1000000 bytes"),
]


@pytest.mark.parametrize(
    ("fault", "error", "told"), FINAL, ids=lambda value: getattr(value, "kind", None) and f"{value.kind}-{value.status}"
)
async def test_what_no_try_can_mend_is_asked_once(
    kind: type[HttpLlm], stream: bool, fault: Fault, error: type[LlmError], told: str
) -> None:
    async with LlmServer([fault]) as server:
        with pytest.raises(LlmError, match=told) as caught:
            await make(kind, server, stream=stream, max_bytes=1_000_000).complete(ASK)
    assert type(caught.value) is error
    assert len(server.asked) == 1


async def test_a_redirect_is_an_error_and_the_key_goes_nowhere(kind: type[HttpLlm], stream: bool) -> None:
    async with LlmServer([YES]) as elsewhere, LlmServer([Fault(kind="redirect", location=f"{elsewhere.url}/messages")]) as server:
        with pytest.raises(LlmError, match="redirect"):
            await make(kind, server, stream=stream).complete(ASK)
    assert not elsewhere.asked and not elsewhere.refused


async def test_a_wrong_key_is_told_and_not_shown(kind: type[HttpLlm]) -> None:
    async with LlmServer([YES], key="another") as server:
        with pytest.raises(LlmAuthError) as caught:
            await make(kind, server).complete(ASK)
    assert KEY not in f"{caught.value!r} {caught.value} {caught.value.hint}" and server.refused == ["key"]


@pytest.mark.parametrize(
    "fault", [Fault(kind="status", status=400, message=f"{'x' * 490}bad key {KEY} and \x1b[31m"), Fault(kind="error-body", message=KEY)]
)
async def test_the_key_is_in_nothing_that_anyone_can_see(kind: type[HttpLlm], fault: Fault, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with LlmServer(lambda asked: fault, key=KEY) as server:
        llm = make(kind, server, tries=1)
        with pytest.raises(LlmError) as caught:
            await llm.complete(ASK)
    seen = f"{caught.value!r} {caught.value.hint} {llm!r} {llm} {llm.model_dump()} {llm.model_dump_json()} {caplog.text}"
    assert KEY not in seen and KEY[:12] not in seen and "\x1b" not in str(caught.value)
    assert len(caught.value.message) < 700


@pytest.mark.parametrize("date", [False, True])
async def test_retry_after_is_honoured(date: bool) -> None:
    def busy_once(asked: Asked) -> Reply | Fault:
        # The date is of when it answers, so that what came before takes nothing from it.
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True) if date else "1"
        return Fault(kind="status", status=429, retry_after=until) if asked.number == 1 else YES

    async with LlmServer(busy_once) as server:
        began = time.monotonic()
        await make(OpenaiLlm, server, max_wait_seconds=60).complete(ASK)
    assert 0.5 < time.monotonic() - began < 50


async def test_retry_after_is_capped() -> None:
    async with LlmServer([Fault(kind="status", status=503, retry_after="86400"), YES]) as server:
        began = time.monotonic()
        await make(AnthropicLlm, server).complete(ASK)
    assert time.monotonic() - began < 60


async def test_the_same_question_has_the_same_idempotency_key_and_is_charged_once(kind: type[HttpLlm], stream: bool) -> None:
    faults = [Fault(kind="status", status=503), Fault(kind="cut", reply=YES)]
    async with LlmServer(faults, price=PRICE) as server:
        llm = make(kind, server, stream=stream, charges_once=True)
        reply = await llm.complete(KEYED)
    assert reply.text == YES.text and server.charges == 1
    assert len(server.asked) == 3
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 1
    assert reply.spend.usd == server.charged.usd <= llm.ceiling(KEYED).usd


async def test_no_key_no_header(kind: type[HttpLlm]) -> None:
    async with LlmServer([YES]) as server:
        await make(kind, server, key=None).complete(ASK)
    assert not {"idempotency-key", "authorization", "x-api-key"} & set(server.asked[0].headers)


async def test_what_broken_tries_may_have_cost_is_in_the_spend(kind: type[HttpLlm], stream: bool) -> None:
    async with LlmServer([Fault(kind="cut"), Fault(kind="status"), YES], price=PRICE) as server:
        llm = make(kind, server, stream=stream)
        reply = await llm.complete(ASK)
    assert server.charges == 2
    assert server.charged.usd <= reply.spend.usd <= llm.ceiling(ASK).usd


async def test_broken_answers_are_not_paid_for_without_end(kind: type[HttpLlm], stream: bool) -> None:
    async with LlmServer(lambda asked: Fault(kind="cut"), price=PRICE) as server:
        llm = make(kind, server, stream=stream, tries=10)
        with pytest.raises(LlmBusyError):
            await llm.complete(ASK)
    assert server.charges == 2 and server.charged.usd <= llm.ceiling(ASK).usd


async def test_nobody_listens() -> None:
    llm = OpenaiLlm(model="m", base_url="http://127.0.0.1:1/v1", tries=2, backoff_seconds=0.01)
    with pytest.raises(LlmBusyError, match="no connection") as caught:
        await llm.complete(ASK)
    assert caught.value.charged_tries == 0


async def test_it_is_used_by_many_at_once_and_closed_by_the_last(kind: type[HttpLlm]) -> None:
    import asyncio

    def echo(asked: Asked) -> Reply:
        return Reply(text=asked.prompt.messages[0].text)

    async with LlmServer(echo) as server, make(kind, server) as llm, asyncio.TaskGroup() as group:
        tasks = [group.create_task(llm.complete(Prompt(system="", messages=(Message(role="user", text=f"n{n}"),)))) for n in range(20)]
    assert [task.result().text for task in tasks] == [f"n{n}" for n in range(20)]


REFUSED = [
    "`temperature` is deprecated for this model.",
    "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is supported.",
]


@pytest.mark.parametrize("message", REFUSED)
async def test_a_temperature_that_the_model_refuses_is_not_sent_again(kind: type[HttpLlm], stream: bool, message: str) -> None:
    async with LlmServer([Fault(kind="status", status=400, message=message), YES, YES], key=KEY) as server:
        llm = make(kind, server, stream=stream, tries=1)
        reply = await llm.complete(TALK)
        await llm.complete(TALK)
    assert [asked.prompt.temperature for asked in server.asked] == [0.5, None, None]
    assert reply.text == YES.text and server.charges == 2


async def test_a_field_is_left_out_once_and_then_the_refusal_is_told(kind: type[HttpLlm]) -> None:
    refusal = Fault(kind="status", status=400, message="temperature is deprecated for this model")
    async with LlmServer(lambda asked: refusal, key=KEY) as server:
        with pytest.raises(LlmError, match="deprecated"):
            await make(kind, server).complete(TALK)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("first", "then"), [("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens")], ids=["newer", "older"]
)
async def test_the_limit_is_renamed_as_the_server_wants_it(first: str, then: str) -> None:
    told = f"Unsupported parameter: '{first}' is not supported with this model. Use '{then}' instead."
    llm = OpenaiLlm(model="m", base_url="http://127.0.0.1:1/v1", limit_field=first)
    assert llm._learns(told, ASK) and not llm._learns(told, ASK)
    assert {first, then} & set(llm._adapted(llm.body(ASK))) == {then}


def test_a_limit_that_is_too_high_is_no_unknown_field() -> None:
    llm = OpenaiLlm(model="m", base_url="http://127.0.0.1:1/v1")
    assert not llm._learns("max_tokens is too large: 64. This model supports at most 16 completion tokens", ASK)


async def test_thoughts_are_not_asked_for_where_there_are_none() -> None:
    refusal = Fault(kind="status", status=400, message="Encrypted content is not supported with this model.")
    async with LlmServer([refusal, YES], key=KEY) as server:
        llm = make(OpenaiResponsesLlm, server)
        assert (await llm.complete(ASK)).text == YES.text
        assert "include" not in llm._adapted(llm.body(ASK))


BLOCKS = [
    {"type": "thinking", "thinking": "I look at it first.", "signature": "c2lnbmVk"},
    {"type": "redacted_thinking", "data": "b3BhcXVl"},
    {"type": "text", "text": "Well."},
    {"type": "thinking", "thinking": "", "signature": "c2Vjb25k"},
    {"type": "tool_use", "id": "c1", "name": "read", "input": {"path": "a"}},
]
DETAIL = {"type": "reasoning.text", "index": 0, "text": "hm", "signature": "s"}
CARRIED: dict[str, dict[str, Any]] = {
    "anthropic": {"messages": BLOCKS},
    "openai": {
        "chat": {
            "reasoning_content": "first I look, then I read",
            "reasoning_details": [DETAIL],
            "calls": {"c1": {"google": {"thought_signature": "c2ln"}}},
        }
    },
    "openai-responses": {"responses": [{"type": "reasoning", "id": "rs_7", "summary": [], "encrypted_content": "b3BhcXVl"}]},
}


async def test_what_the_provider_signed_goes_back_unchanged(kind: type[HttpLlm], stream: bool) -> None:
    call = ToolCall(id="c1", name="read", arguments={"path": "a"})
    thought = Reply(text="Well.", tool_calls=(call,), stop="tools", carried=CARRIED[kind.name])
    async with LlmServer([thought, YES], key=KEY) as server:
        llm = make(kind, server, stream=stream)
        reply = await llm.complete(ASK)
        again = Message(role="assistant", text=reply.text, tool_calls=reply.tool_calls, carried=reply.carried)
        asked = (*ASK.messages, again, Message(role="tool", call_id="c1", text="x = 1"))
        await llm.complete(ASK.model_copy(update={"messages": asked}))
    assert (reply.text, reply.carried) == ("Well.", CARRIED[kind.name])
    assert server.asked[1].prompt.messages == asked


async def test_what_another_protocol_carried_is_not_sent(kind: type[HttpLlm]) -> None:
    carried = {key: value for name, one in CARRIED.items() if name != kind.name for key, value in one.items()}
    talk = (*ASK.messages, Message(role="assistant", text="Well.", carried=carried), Message(role="user", text="And?"))
    async with LlmServer([YES], key=KEY) as server:
        await make(kind, server).complete(ASK.model_copy(update={"messages": talk}))
    assert server.asked[0].prompt.messages[1].carried == {}
