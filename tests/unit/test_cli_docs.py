"""What the command line has stands in its reference, and codes that can be printed are explained."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from remediator.clearinghouse.wire.terms import Problem
from remediator.cli.exit_code import _DOES_NOT_APPLY, ExitCode
from remediator.cli.main import COMMANDS, cli
from remediator.cli.meanings import CODES
from remediator.cli.options import global_options
from remediator.contracts import ExecStatus
from remediator.records import EvidenceLevel, ReasonCode

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
CLI = (REFERENCE / "cli.md").read_text()
GLOBAL = {option.name for option in global_options()}


def commands() -> Iterator[tuple[str, click.Command]]:
    with click.Context(cli) as ctx:
        for name in COMMANDS:
            command = cli.get_command(ctx, name)
            yield f"remediator {name}", command
            if isinstance(command, click.Group):
                for below, inner in command.commands.items():
                    yield f"remediator {name} {below}", inner


ALL = dict(commands())


@pytest.mark.parametrize("path", ALL)
def test_every_command_and_option_is_documented(path):
    parts = re.split(r"^#+ `(.*)`$", CLI, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert path in sections
    for parameter in ALL[path].params:
        if isinstance(parameter, click.Option) and parameter.name not in GLOBAL:
            for flag in parameter.opts:
                assert f"| `{flag}` |" in sections[path], flag


def test_every_global_option_is_documented():
    assert not [option.opts[0] for option in global_options() if f"| `{option.opts[0]}` |" not in CLI]


def test_the_reference_names_no_command_that_is_not_there():
    headings = set(re.findall(r"^#+ `(remediator [^`]*)`$", CLI, flags=re.MULTILINE))
    assert headings == set(ALL)


def test_short_help_of_the_door_fits_the_command():
    assert not [path for path, command in ALL.items() if not command.help]
    assert all(COMMANDS[path.split()[1]] for path in ALL)


@pytest.mark.parametrize(
    ("page", "kinds"), [("reason-codes.md", ("reason", "check", "scan", "level", "validation", "refusal")), ("exit-codes.md", ("exit",))]
)
def test_every_code_stands_in_the_reference_with_its_meaning(page, kinds):
    text = (REFERENCE / page).read_text()
    missing = [code for code, meaning in CODES.items() if meaning.kind in kinds and f"| `{code}` | {meaning.says} |" not in text]
    assert not missing


def test_every_code_of_the_contract_has_a_meaning():
    assert {code for code, meaning in CODES.items() if meaning.kind == "reason"} == set(ReasonCode)
    assert {code for code, meaning in CODES.items() if meaning.kind == "exit"} == {str(int(code)) for code in ExitCode}
    assert {code for code, meaning in CODES.items() if meaning.kind == "level"} == set(EvidenceLevel.__members__)


@pytest.mark.parametrize("kind", ["reason", "validation", "refusal"])
def test_whatever_was_not_done_has_a_way_on(kind):
    assert not [code for code, meaning in CODES.items() if meaning.kind == kind and not meaning.unblock]


def test_what_a_clearinghouse_says_no_with_has_a_meaning():
    assert not sorted(set(Problem) - set(CODES))
    assert not sorted(code for code, meaning in CODES.items() if meaning.kind == "refusal" and code not in set(Problem))
    said = set()
    for name in ("validator.py", "store/validating.py"):
        for node in ast.walk(ast.parse((ROOT / "src/remediator/clearinghouse" / name).read_bytes())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[a-z]+(-[a-z]+)+", node.value):
                said.add(node.value)
    assert {"source-not-public", "validator-lost"} <= said
    assert not sorted(said - set(CODES) - {"not-replayed", "fix-requeued", "fix-validated"}), "without a meaning"
    assert not sorted(code for code, meaning in CODES.items() if meaning.kind == "validation" and "-" in code and code not in said)


def codes_in(path: Path) -> Iterator[str]:
    """Yield the code constants at the places where our own checks name them."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        found: list[ast.expr] = []
        match node:
            case ast.Assign(targets=[ast.Name(id="CODE")], value=value):
                found = [value]
            case ast.Call(func=ast.Name(id="Objection"), args=[code, *_]):
                found = [code]
            case ast.Call(func=ast.Name(id="Answer"), args=[_, code, *_]):
                found = [code]
            case ast.Call(func=ast.Attribute(value=ast.Name(id="problems" | "doubts"), attr="append"), args=[code]):
                found = [code]
            case ast.Call(func=ast.Name(id="Check" | "Unchecked"), keywords=keywords):
                found = [keyword.value for keyword in keywords if keyword.arg == "reason"]
        yield from (str(code.value) for code in found if isinstance(code, ast.Constant) and code.value)


def test_codes_that_our_own_checks_print_are_explained():
    found = {code for path in (ROOT / "src" / "remediator").rglob("*.py") for code in codes_in(path)}
    assert len(found) > 30
    assert not sorted(found - set(CODES))


_CODE = re.compile(r"[a-z]+(-[a-z]+)*")
_JUDGING = (
    "builtin/*verifier.py",
    "builtin/answer.py",
    "builtin/no_baseline.py",
    "builtin/guards/**/*.py",
    "diff/*.py",
    "engine/judge.py",
    "engine/reproduction.py",
    "evidence/replay.py",
    "records/verdict.py",
    "recipe/**/*.py",
)
_TABLES = ("CODE", "NOT_REPLAYED", "_CODES", "reason", "named")


class Reasons(ast.NodeVisitor):
    """Finds the codes in a module of those that judge, also where they go through a name, a choice, a table or a tuple."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: set[str] = set()
        self.visit(tree)

    def say(self, *nodes: ast.expr | None) -> None:
        for node in nodes:
            match node:
                case ast.Constant(value=str() as text) if _CODE.fullmatch(text):
                    self.found.add(text)
                case ast.IfExp(body=one, orelse=other):
                    self.say(one, other)
                case ast.BoolOp(values=values) | ast.List(elts=values) | ast.Dict(values=values):
                    self.say(*values)
                case ast.Call(func=ast.Name(id="next"), args=[_, other]):
                    self.say(other)

    def visit_Assign(self, node: ast.Assign) -> None:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) if name in _TABLES:
                self.say(node.value)
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)) if len(names) == len(values):
                self.say(*(value for name, value in zip(names, values, strict=True) if isinstance(name, ast.Name) and name.id == "reason"))
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id in _TABLES:
            self.say(node.value)

    def visit_Return(self, node: ast.Return) -> None:
        match node.value:
            case ast.Tuple(elts=[ast.Constant() as first, ast.JoinedStr() | ast.Constant(), *_]):
                self.say(first)
            case ast.Tuple(elts=[*_, ast.List() as value]):
                self.say(value)
            case ast.List() | ast.IfExp():
                self.say(node.value)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        match node:
            case ast.Call(func=ast.Name(id="Objection" | "refused"), args=[code, *_]):
                self.say(code)
            case ast.Call(func=ast.Name(id="Answer"), args=[_, code, *_]):
                self.say(code)
            case ast.Call(func=ast.Name(id="_build_run"), args=[*_, code]):
                self.say(code)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="problems" | "doubts"), attr="append"), args=[code]):
                self.say(code)
        self.say(*(keyword.value for keyword in node.keywords if keyword.arg == "reason"))
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        pairs = zip(node.keys, node.values, strict=True)
        self.say(*(value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "reason"))
        self.generic_visit(node)


def test_every_code_of_a_check_stands_in_the_page_on_checks():
    package = ROOT / "src" / "remediator"
    paths = [path for pattern in _JUDGING for path in package.glob(pattern)]
    found = {code for path in paths for code in Reasons(ast.parse(path.read_bytes())).found}
    found |= {status.value for status in ExecStatus if status is not ExecStatus.exited}
    # Each of these goes another way through the code; one that is not seen would say that the search is broken.
    ways = {
        "garbled",
        "miscounted",
        "not-replayed",
        "wrong-level",
        "build-step-failed",
        "tests-xfailed",
        "nothing-imports",
        "finding-moved",
    }
    assert not ways - found
    page = (REFERENCE / "checks.md").read_text()
    assert not sorted(found - set(CODES)), "without a meaning"
    known = {code for code, meaning in CODES.items() if meaning.kind == "check"}
    assert not sorted(code for code in known if f"`{code}`" not in page), "not in the page"


def test_what_the_exit_code_calls_a_conflict_stands_in_the_page_on_checks():
    page = (REFERENCE / "checks.md").read_text()
    assert not sorted(code for code in _DOES_NOT_APPLY if f"| `{code}` |" not in page)
