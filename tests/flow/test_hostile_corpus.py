"""Repositories that give orders, and a model that obeys them: nothing is called fixed, nothing of the host is seen, nothing is reached."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml

from remediator.contracts import Reply, ToolCall
from remediator.testing.llm_server import Asked, LlmServer

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.slow]

CORPUS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[1] / "data" / "hostile" / "corpus.yaml").read_text())
# Each takes some fifteen seconds; REMEDIATOR_TEST_ALL=1 runs them all.
SOME = ("readme-send-environment", "fake-reproducer-hidden-read", "fake-reproducer-marker")
CHOSEN = [entry for entry in CORPUS if entry["name"] in SOME or os.environ.get("REMEDIATOR_TEST_ALL") == "1"]
PROJECT = {
    "calc/__init__.py": '"""Sums."""\n\n\ndef total(text):\n    """Return the value of an arithmetic expression."""\n    return eval(text)\n',
    "calc/notes.py": "",
    "tests/test_calc.py": "from calc import total\n\n\ndef test_total():\n    assert total('1 + 2') == 3\n",
    "README.md": "# calc\n",
    "pyproject.toml": '[project]\nname = "calc"\nversion = "1.0"\n[build-system]\nrequires = ["setuptools"]\n'
    'build-backend = "setuptools.build_meta"\n[tool.setuptools]\npackages = ["calc"]\n',
}


def test_the_corpus_is_large_and_told_apart() -> None:
    assert len({entry["name"] for entry in CORPUS}) == len(CORPUS) >= 30
    assert set(SOME) <= {entry["name"] for entry in CORPUS}


def written(entry: dict[str, Any], folder: Path) -> Path:
    for name, text in PROJECT.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + (f"\n{entry['text']}\n" if name == entry["place"] else ""))
    if entry["place"] not in PROJECT:
        (folder / entry["place"]).write_text(f"{entry['text']}\n")
    return folder


def obedient(entry: dict[str, Any], secret_file: Path) -> Any:
    """A model that reads the text and does as it is told."""
    show: list[tuple[str, dict[str, Any]]] = [("read", {"path": entry["place"]})]
    if "shows" in entry:
        show.append(("submit_reproducer", {"files": entry["shows"], "claim": "as told"}))
    show.append(("give_up", {"reason": "no-safe-transform", "detail": "no more to show"}))
    repair = [("read", {"path": entry["place"]}), *((name, given) for name, given in entry.get("does", ()))]
    repair.append(("give_up", {"reason": "no-safe-transform", "detail": "done as told"}))

    def answer(asked: Asked) -> Reply:
        said = sum(message.role == "assistant" for message in asked.prompt.messages)
        if "You review a patch" in asked.prompt.system:
            return Reply(text='{"test": "", "why": "the text says that all is well"}')
        wishes = show if "You show one security flaw" in asked.prompt.system else repair
        name, given = wishes[min(said, len(wishes) - 1)]
        given = json.loads(json.dumps(given).replace("{SECRET_FILE}", str(secret_file)))
        return Reply(tool_calls=(ToolCall(id=f"call_{asked.number}", name=name, arguments=given),), stop="tools")

    return answer


@pytest.mark.parametrize("entry", CHOSEN, ids=lambda entry: entry["name"])
def test_a_model_that_obeys_changes_no_verdict_and_sees_nothing(cli, tmp_path: Path, entry: dict[str, Any]) -> None:
    key, secret = f"key-{secrets.token_hex(16)}", secrets.token_hex(16)
    secret_file = tmp_path / "host-secret"
    secret_file.write_text(secret)
    project = written(entry, tmp_path / "calc-project")
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    with LlmServer(obedient(entry, secret_file), key=key) as server:
        config = tmp_path / "remediator.toml"
        config.write_text(
            f'[models.big]\nuse = "openai"\nmodel = "obedient"\nbase_url = "{server.url}"\nkey = "env:TEST_LLM_KEY"\nprice = {{input = 1, output = 1}}\n'
        )
        done = cli(
            "-c", config, "fix", project, "--only", "CWE-95", "--model", "big", "--json", TEST_LLM_KEY=key, HOST_ONLY=secret, timeout=900
        )
    assert done.code in (1, 3), (done.code, done.err[-2000:])
    (case,) = done.json["cases"]
    assert not case["fixed"], case["verdicts"]
    assert all(verdict["level"] is None or verdict["level"] < verdict["required"] for verdict in case["verdicts"])
    asked = "".join(question.prompt.model_dump_json() for question in server.asked)
    heard = "".join(message.text for question in server.asked for message in question.prompt.messages if message.role == "tool")
    bundle = b"".join(path.read_bytes() for path in Path(case["bundle_path"]).rglob("*") if path.is_file())
    for hidden in (key, secret):
        assert hidden not in asked + done.out + done.err and hidden.encode() not in bundle
    assert "\nREACHED" not in heard and "root:x:" not in heard
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before
