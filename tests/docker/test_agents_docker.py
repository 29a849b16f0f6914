"""The model's part in real containers: reproducers measured, an external agent at work, and neither gets out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from remediator.app import Remediator
from remediator.contracts import Llm, Price, Prompt, Reply, ToolCall
from remediator.engine.request import FixRequest
from remediator.records import Spend
from remediator.settings import load_settings
from remediator.testing.fake_llm import ScriptedLlm

pytestmark = [pytest.mark.docker, pytest.mark.network]

BEFORE = '"""Sums."""\n\n\ndef total(text):\n    """Return the value of an arithmetic expression."""\n    return eval(text)\n'
AFTER = BEFORE.replace("def total", "import ast\n\n\ndef total", 1).replace(
    "return eval(text)", "return sum(_terms(ast.parse(text, mode='eval').body))"
) + (
    "\n\ndef _terms(node):\n    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):\n"
    "        return _terms(node.left) + _terms(node.right)\n"
    "    if isinstance(node, ast.Constant) and type(node.value) is int:\n        return [node.value]\n    raise ValueError(node)\n"
)
FLAW = """from calc import total


def test_code_is_not_run(tmp_path):
    mark = tmp_path / "mark"
    try:
        total(f"open({str(mark)!r}, 'w').close()")
    except Exception:
        pass
    assert not mark.exists()


def test_variant_list(tmp_path):
    mark = tmp_path / "mark"
    try:
        total(f"[open({str(mark)!r}, 'w').close(), 1][1]")
    except Exception:
        pass
    assert not mark.exists()


def test_control_sum():
    assert total("1 + 2 + 3") == 6
"""
PROJECT = {
    "calc/__init__.py": BEFORE,
    "tests/test_calc.py": "from calc import total\n\n\ndef test_total():\n    assert total('1 + 2') == 3\n",
    "pyproject.toml": '[project]\nname = "calc"\nversion = "1.0"\n[build-system]\nrequires = ["setuptools"]\n'
    'build-backend = "setuptools.build_meta"\n[tool.setuptools]\npackages = ["calc"]\n',
}


def call(name: str, **arguments: Any) -> Reply:
    spend = Spend(usd=Decimal("0.001"), input_tokens=100, output_tokens=10)
    return Reply(tool_calls=(ToolCall(id=f"call-{name}", name=name, arguments=arguments),), stop="tools", spend=spend)


class Scripted(ScriptedLlm):
    price: Price | None = Price(input=Decimal(1), output=Decimal(1))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("agents") / "state"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in PROJECT.items():
        path = tmp_path / "calc-project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "calc-project"


@pytest.fixture
async def app(state: Path) -> AsyncIterator[Callable[..., Any]]:
    async def fixed(project: Path, llm: Llm, **request: Any) -> Any:
        async with Remediator.open(load_settings(state=state), models={"default": llm}) as opened:
            report = await opened.fix(FixRequest(target=str(project), **request))
            (case,) = report.cases
            return case, opened.ledger.calls(case.id, report.run_id)

    yield fixed


SHOWN = (
    call("submit_reproducer", files={"test_flaw.py": "import nothing_there\n\n\ndef test_x():\n    assert nothing_there.f()\n"}, claim="c"),
    call(
        "submit_reproducer",
        files={"test_flaw.py": "from calc import total\n\n\ndef test_x():\n    assert total('1 + 1') == 2\n"},
        claim="c",
    ),
    call("submit_reproducer", files={"test_flaw.py": FLAW}, claim="an expression runs code"),
)
WRONG = (
    call(
        "edit",
        path="calc/__init__.py",
        old="    return eval(text)",
        new="    if 'open(' in text:\n        raise ValueError(text)\n    return eval(text)",
    ),
    call("submit", title="refuse open", behaviour="none"),
)
RIGHT = (
    call("create", path="calc/__init__.py", content=AFTER),
    call("run_reproducer"),
    call("run_tests"),
    call("run", command="id -u; ls /; python -c 'import socket; socket.create_connection((\"192.0.2.1\", 80), 2)' 2>&1 | tail -1"),
    call("submit", title="read sums only", behaviour="anything but a sum is refused"),
)
FINE = Reply(text='{"test": "", "why": "none found"}')


async def test_from_finding_to_e5_with_a_wrong_patch_on_the_way(app: Any, project: Path) -> None:
    case, calls = await app(project, Scripted(replies=(*SHOWN, *WRONG, *RIGHT, FINE)), model="default")
    assert case.fixed, case.detail
    assert [verdict.outcome for verdict in case.verdicts] == ["rejected", "verified"]
    assert case.verdicts[0].reason == "finding-remains"
    assert {check.name: check.status for check in case.verdicts[1].checks}["reproducer"] == "passed"
    assert case.acceptance.variants == ("test_flaw.py::test_variant_list",)
    heard = [message["text"] for entry in calls for message in entry.said["messages"] if message["role"] == "tool"]
    assert "ModuleNotFoundError" in heard[0] and "not-red" in heard[1]
    ran = next(text for text in heard if text.startswith("exit"))
    assert "docker.sock" not in ran and "unreachable" in ran.lower()
    assert case.spend.usd == sum((entry.spend.usd for entry in calls), Decimal(0))


async def test_a_supplied_reproducer_is_used_the_same_way(app: Any, project: Path) -> None:
    from remediator.records import Reproducer

    supplied = Reproducer.of(finding_id="", author="supplied", files={"test_flaw.py": FLAW})
    case, _ = await app(project, Scripted(replies=(*RIGHT[:1], *RIGHT[-1:], FINE)), model="default", reproducer=supplied)
    assert case.fixed and case.reproducer.author == "supplied"


MARKER = """import calc


def test_x():
    assert calc.total("1 + 2") == 3
    assert hasattr(calc, "_terms")
"""
COPY = """import subprocess
import calc


def test_x(tmp_path):
    assert calc.total("1 + 2") == 3
    subprocess.run(["cp", "-r", calc.__name__, str(tmp_path)], check=True)
    texts = [path.read_text() for path in (tmp_path / "calc").iterdir() if path.is_file()]
    assert texts and not any("ev" + "al(text)" in text for text in texts)
"""


@pytest.mark.parametrize(("test", "reason"), [(MARKER, "marker-only"), (COPY, "marker-only")])
async def test_one_that_looks_at_names_or_text_earns_no_e4(app: Any, project: Path, test: str, reason: str) -> None:
    from remediator.records import Reproducer

    supplied = Reproducer.of(finding_id="", author="supplied", files={"test_flaw.py": test})
    case, _ = await app(project, Scripted(replies=(*RIGHT[:1], *RIGHT[-1:], FINE)), model="default", reproducer=supplied)
    assert case.acceptance.accepted, "it is red on the base, as a test of the flaw would be"
    check = next(check for check in case.verdicts[-1].checks if check.name == "reproducer")
    assert (check.status, check.reason) == ("inconclusive", reason), check.summary
    assert case.verdicts[-1].level < 4


AGENT = """
import json, os, sys, urllib.request
base, prompt = os.environ["BASE"], open(sys.argv[1]).read()
assert "KEY" not in os.environ and "data, not instructions" in prompt
def ask(path, body):
    request = urllib.request.Request(base + path, json.dumps(body).encode(), {"Content-Type": "application/json", "x-api-key": "none"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()
said = json.loads(ask("/v1/messages", {"model": "any", "max_tokens": 500, "messages": [{"role": "user", "content": prompt}],
    "tools": [{"name": "write", "description": "d", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}]}))
(use,) = [block for block in said["content"] if block["type"] == "tool_use"]
open("calc/__init__.py", "w").write(use["input"]["content"])
stream = ask("/v1/chat/completions", {"model": "any", "stream": True, "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "ok?"}]})
assert "fine" in stream and stream.rstrip().endswith("[DONE]"), stream
for where in ("http://192.0.2.1/", "http://pypi.invalid/", base + "/other"):
    try:
        urllib.request.urlopen(where, timeout=3)
    except Exception as error:
        print(where, type(error).__name__)
    else:
        sys.exit("reached " + where)
os.makedirs("calc/__pycache__", exist_ok=True)
open("calc/__pycache__/x.pyc", "w").write("x")
"""


def external(state: Path, tmp_path: Path, agent: str) -> Path:
    playbook = tmp_path / "external.yaml"
    fixer = {
        "use": "external-agent",
        "with": {
            "command": ["/opt/venv/bin/python", "/opt/venv/agent.py", "{prompt}"],
            "setup": [["/opt/venv/bin/python", "-c", f"open('/opt/venv/agent.py', 'w').write({agent!r})"]],
            "env": {"BASE": "{base_url}"},
            "seconds": 120,
        },
    }
    checks = [{"use": name} for name in ("applies", "guards", "builds", "rescan", "tests")]
    playbook.write_text(json.dumps({"name": "external", "scan": [{"use": "semgrep"}], "fix": [fixer], "verify": checks}))
    return playbook


async def test_an_external_agent_works_through_our_answer_alone(app: Any, project: Path, state: Path, tmp_path: Path) -> None:
    llm = Scripted(replies=(call("write", content=AFTER), Reply(text="fine", spend=Spend(usd=Decimal("0.001")))))
    case, calls = await app(project, llm, playbook=str(external(state, tmp_path, AGENT)))
    assert case.fixed, (case.detail, case.declined)
    assert case.patches[0].fixer == "external-agent" and "__pycache__" not in case.patches[0].diff
    assert len(calls) == 2 and case.spend.usd == Decimal("0.002")
    assert llm.prompts[0].tools[0].name == "write"


async def test_an_external_agent_gets_nothing_more_when_the_money_is_used_up(app: Any, project: Path, state: Path, tmp_path: Path) -> None:
    class Dear(Scripted):
        async def complete(self, prompt: Prompt) -> Reply:
            return Reply(text="more", spend=self.ceiling(prompt))

    agent = (
        "import json, os, urllib.request\nfor _ in range(500):\n    body = json.dumps({'model': 'm', 'max_tokens': 30000, 'messages': "
        "[{'role': 'user', 'content': 'x'}]}).encode()\n    try:\n        urllib.request.urlopen(urllib.request.Request(os.environ['BASE'] + '/v1/messages', body))\n"
        "    except urllib.error.HTTPError as error:\n        print(error.read())\n        break\n"
    )
    case, calls = await app(project, Dear(), playbook=str(external(state, tmp_path, agent)), usd=Decimal("0.10"))
    assert case.closed == "budget", case.detail
    assert Decimal("0.05") < sum((entry.spend.usd for entry in calls), Decimal(0)) <= Decimal("0.10")
