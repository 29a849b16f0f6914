"""What a model, an agent or a server writes to break its reader is told as an error, and soon."""

from __future__ import annotations

import time

import pytest

from remediator.builtin.agent_protocols import read_question
from remediator.builtin.external_fixer import _Desk
from remediator.builtin.mutated_inputs import mutated
from remediator.builtin.relay import Asked
from remediator.builtin.reviewer_verifier import _parsed
from remediator.llm.answer import count
from remediator.testing.fake_llm import ScriptedLlm

DEEP = b"[" * 100_000
QUESTIONS = [
    b'{"max_tokens":1e999,"messages":[]}',
    b'{"max_tokens":1,"messages":[],"tools":[{"name":"x","input_schema":{"a":NaN}}]}',
    b'{"max_tokens":1,"messages":[],"tools":[{"name":"x","input_schema":{"a":1e999}}]}',
    b'{"max_tokens":1,"messages":[' + DEEP,
    b'{"max_tokens":1,"messages":[{}]}',
]


@pytest.mark.parametrize("body", QUESTIONS)
async def test_what_is_no_question_is_refused_and_not_asked(body: bytes) -> None:
    llm = ScriptedLlm()
    told = await _Desk(llm, 5).answer(Asked("POST", "/v1/messages", body))
    assert told.status == 400
    assert not llm.prompts


def test_lone_surrogates_are_replaced() -> None:
    call = b'{"id":"1","function":{"name":"n","arguments":"{\\"a\\":\\"\\\\ud800\\"}"}}'
    body = b'{"model":"\\ud800","messages":[{"role":"assistant","tool_calls":[%s]}]}' % call
    question = read_question("chat", body)
    assert (question.model, question.prompt.messages[0].tool_calls[0].arguments) == ("?", {"a": "?"})


@pytest.mark.parametrize("text", ["{" * 1_000_000 + "}", '{"a":' * 10_000 + "1" + "}" * 10_000])
def test_an_endless_opinion_is_none(text: str) -> None:
    before = time.process_time()
    assert _parsed(text) is None
    assert time.process_time() - before < 10


def test_an_endless_test_gets_no_changed_inputs() -> None:
    before = time.process_time()
    mutated({"test_a.py": "def test_a():\n" + "    f(1)\n" * 5_000 + "    assert f()\n"}, 24)
    mutated({"test_a.py": "def test_a():\n    assert f(" + "1+" * 400 + "1)\n"}, 24)
    assert time.process_time() - before < 10


def test_a_number_of_tokens_beyond_sense_is_none() -> None:
    assert count({"n": 10**30}, "n") is None
    assert count({"n": 10**6}, "n") == 10**6
