"""The model's job on real packages, through a real server that speaks both protocols: from words to E4, a wrong patch on the way."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from remediator.contracts import Price, Reply, ToolCall
from remediator.diff import parse
from remediator.testing.llm_server import Asked, LlmServer

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.slow]

PROGRAM = str(Path(sys.executable).parent / "remediator")
DATA = Path(__file__).parents[1] / "data" / "real"
PRICE = Price(input=Decimal(3), output=Decimal(15))
KEY = "key-of-the-test-server"
REAL = {
    "pyjwt": ("anthropic", "02-exact-first-bytes"),
    "joblib": ("openai", "02-import-refused"),
    "sqlparse": ("openai-responses", "01-single-quotes-only"),
}


# Each takes one to three minutes; REMEDIATOR_TEST_ALL=1 runs them all, and kills fifty times.
ALL = os.environ.get("REMEDIATOR_TEST_ALL") == "1"
CHOSEN = list(REAL) if ALL else ["pyjwt"]
KILLS = 50 if ALL else 1


class Real(NamedTuple):
    folder: Path
    facts: dict[str, Any]

    @property
    def target(self) -> str:
        return f"pypi:{self.facts['package']}=={self.facts['version']}"

    def tests(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in sorted(self.folder.glob("test_*.py"))}

    def patch(self, name: str) -> str:
        return (self.folder / ("right.patch" if name == "right" else f"wrong/{name}.patch")).read_text()


def real(name: str) -> Real:
    return Real(DATA / name, yaml.safe_load((DATA / name / "case.yaml").read_text()))


def call(number: int, name: str, **arguments: Any) -> Reply:
    return Reply(tool_calls=(ToolCall(id=f"call_{number}", name=name, arguments=arguments),), stop="tools")


def edits(diff: str) -> list[Reply]:
    """The calls that make the edits of a diff, hunk by hunk, from the last one up: the text above stays where it is."""
    made = []
    for change in parse(diff):
        for hunk in reversed(change.hunks):
            old = "".join(f"{line.text}\n" for line in hunk.lines if line.mark in " -")
            new = "".join(f"{line.text}\n" for line in hunk.lines if line.mark in " +")
            made.append(call(len(made), "edit", path=change.path, old=old, new=new))
    return made


def script(case: Real, wrong: str) -> Callable[[Asked], Reply]:
    """A model without memory: what it says depends on what it is asked alone, so a run that is resumed hears the same."""
    show = [
        call(1, "search", pattern="def ", path=case.facts["path"][0]),
        call(
            2,
            "submit_reproducer",
            files={"test_nothing.py": "import nothing_at_all\n\n\ndef test_x():\n    assert nothing_at_all.x\n"},
            claim="c",
        ),
        call(3, "submit_reproducer", files=case.tests(), claim="the flaw as described"),
    ]
    first = [*edits(case.patch(wrong)), call(90, "run_reproducer"), call(91, "submit", title="first try", behaviour="none")]
    second = [
        *edits(case.patch("right")),
        call(92, "run_reproducer"),
        call(93, "submit", title="second try", behaviour="as the contract says"),
    ]

    def answer(asked: Asked) -> Reply:
        said = sum(message.role == "assistant" for message in asked.prompt.messages)
        if "You review a patch" in asked.prompt.system:
            return Reply(text='{"test": "", "why": "none found"}')
        if "You show one security flaw" in asked.prompt.system:
            return show[said]
        return (second if "judged and fell" in asked.prompt.messages[0].text else first)[said]

    return answer


@pytest.fixture
def configured(tmp_path: Path) -> Callable[[str, LlmServer, Real], Path]:
    def write(component: str, server: LlmServer, case: Real) -> Path:
        path = tmp_path / "remediator.toml"
        # Some suites take many minutes, or hang on newer libraries: then the operator says which tests count.
        command = shlex.split(case.facts["own_tests"]["command"]) if case.folder.name == "joblib" else []
        path.write_text(
            f'[models.big]\nuse = "{component}"\nmodel = "scripted"\nbase_url = "{server.url}"\nkey = "env:TEST_LLM_KEY"\n'
            "charges_once = true\nbackoff_seconds = 0.05\n"
            f"[models.big.price]\ninput = {PRICE.input}\noutput = {PRICE.output}\n"
            + (f"[recipe]\ntest = {json.dumps(command)}\n" if command else "")
        )
        return path

    return write


@pytest.fixture
def words(tmp_path: Path) -> Callable[[Real], list[str]]:
    def options(case: Real) -> list[str]:
        facts = case.facts
        return [
            "--describe",
            facts["description"],
            "--contract",
            facts["contract"],
            "--cwe",
            facts["cwe"].removeprefix("CWE-"),
            "--model",
            "big",
        ]

    return options


@pytest.mark.parametrize("name", CHOSEN)
def test_from_words_to_e4(cli, configured, words, name: str) -> None:
    case = real(name)
    component, wrong = REAL[name]
    with LlmServer(script(case, wrong), key=KEY, price=PRICE) as server:
        config = configured(component, server, case)
        done = cli("-c", config, "fix", case.target, *words(case), "--json", TEST_LLM_KEY=KEY, timeout=1500)
    # Files of Python 2 lie beside joblib's sources: what could not be read is never part of a clean result.
    assert done.code == (3 if name == "joblib" else 0), done.err
    (found,) = done.json["cases"]
    verdicts = found["verdicts"]
    assert [verdict["outcome"] for verdict in verdicts] == ["rejected", "verified"], verdicts
    assert verdicts[-1]["level"] >= 4
    assert found["reproducer"]["author"] == "agent" and len(found["acceptance"]["variants"]) >= 3
    assert Decimal(done.json["spend"]["usd"]) == server.charged.usd > 0
    told = cli("-c", config, "logs", found["id"], "--full", TEST_LLM_KEY=KEY)
    assert "judged and fell" in told.out and KEY not in told.out + told.err + done.out + done.err
    replayed = cli("replay", found["bundle_path"], "--json", timeout=900)
    assert (replayed.code, replayed.json["outcome"]) == (0, "agreed"), replayed.err


def test_it_stops_before_a_cap_is_crossed(cli, configured, words) -> None:
    case = real("pyjwt")
    with LlmServer(script(case, REAL["pyjwt"][1]), key=KEY, price=PRICE) as server:
        done = cli(
            "-c",
            configured("anthropic", server, case),
            "fix",
            case.target,
            *words(case),
            "--budget",
            "0.10usd",
            "--json",
            TEST_LLM_KEY=KEY,
            timeout=1500,
        )
    assert done.code == 5, done.err
    (found,) = done.json["cases"]
    assert found["reason"] == "budget"
    assert 0 < server.charged.usd < Decimal("0.10")


def _kills() -> Iterator[float]:
    chance = random.Random(20261125)
    while True:
        yield chance.uniform(0.2, 6.0)


def _run_and_kill(arguments: list[str], env: dict[str, str], folder: Path, seconds: Iterator[float], most: int) -> int:
    """Run until it is over, killing it at random points; return how often it was killed, at most so many times."""
    for count in range(most):
        process = subprocess.Popen(
            [*arguments, *(["--resume"] if count else [])],
            env=env,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in process.stderr or ():
            if line.startswith(("scan", "fix", "noted", "case", "baseline", "verify", "check")):
                break
        try:
            process.communicate(timeout=next(seconds))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=30)
        else:
            return count  # it came to its end first: the next run is killed on
    return most


def test_killed_at_random_points_it_pays_nothing_twice_and_ends_alike(cli, configured, words, state: Path) -> None:
    case, seconds, left = real("pyjwt"), _kills(), KILLS
    wrong = REAL["pyjwt"][1]
    # As many questions as in a run that nobody killed: 3 to show it, 4 and 4 to repair it, 1 to review.
    questions = 3 + len(edits(case.patch(wrong))) + 2 + len(edits(case.patch("right"))) + 2 + 1
    while left:
        with LlmServer(script(case, wrong), key=KEY, price=PRICE) as server:
            config = configured("anthropic", server, case)
            arguments = [PROGRAM, "-c", str(config), "fix", case.target, *words(case)]
            env = {**os.environ, "REMEDIATOR_HOME": str(state), "XDG_CONFIG_HOME": str(state.parent / "config"), "TEST_LLM_KEY": KEY}
            killed = _run_and_kill(arguments, env, state.parent, seconds, left)
            done = cli("-c", config, "fix", case.target, *words(case), "--resume", "--json", TEST_LLM_KEY=KEY, timeout=1500)
        assert killed, "the run was over before it was killed once"
        left -= killed
        assert done.code == 0, done.err
        (found,) = done.json["cases"]
        assert [verdict["outcome"] for verdict in found["verdicts"]] == ["rejected", "verified"]
        paid = {asked.headers["idempotency-key"] for asked in server.asked}
        assert server.charges == len(paid) == questions
