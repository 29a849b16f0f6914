"""The desk: whatever a model sends is answered, and a large program can be found one's way in."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediator.builtin import agent_view
from remediator.builtin.agent_tools import FixDesk, ShowDesk
from remediator.contracts import ExecResult, ToolCall
from remediator.git import GitStore, ImportedFile
from remediator.llm.answer_json import read_arguments
from remediator.records import Acceptance, Finding, Reproducer, TestOutcome, TestRun
from remediator.records.record import canonical_json
from remediator.testing.fake_sandbox import FakeSandboxProvider, done
from remediator.testing.fake_workspace import FakeWorkspace

FILES: dict[str, str | bytes] = {
    "shop/app.py": "def load(text):\n    return eval(text)\n",
    "shop/win.py": b"a = 1\r\nb = 2\r\n",
    "shop/latin.py": b"# caf\xe9\n\n\n\n\n\nx = 1\n",
    "README.md": "hello\n",
}
FINDING = Finding.at(rule_id="eval", scanner="s", message="m", location=None, snippet="")
REPRODUCER = Reproducer.of(finding_id=FINDING.id, author="agent", files={"test_flaw.py": "def test_x():\n    assert 0 == 1\n"})
RED = TestRun(complete=True, results={"t": TestOutcome.failed})
NAMES = [spec.name for spec in FixDesk(FakeWorkspace({}, Path()), ()).specs] + ["submit_reproducer"]


class GitWorkspace(FakeWorkspace):
    """Its diffs are git's own."""

    store: GitStore

    def diff(self, edits: Any) -> str:
        return self.store.diff(self.real, self.store.write(self.real, edits))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> GitWorkspace:
    folder = tmp_path_factory.mktemp("desk")
    made = GitWorkspace(
        FILES, folder, reproducer=REPRODUCER, probed=[RED], accepted=[Acceptance(reproducer_id="", reason="not-red", detail="no")]
    )
    made.store = GitStore.open(folder / "store.git")
    files = [ImportedFile(path, 0o100644, data if isinstance(data, bytes) else data.encode()) for path, data in FILES.items()]
    from datetime import UTC, datetime

    made.real = made.store.tree(made.store.import_files(files, message="base", when=datetime(2000, 1, 1, tzinfo=UTC)))
    return made


_PATHS = st.sampled_from(
    [*FILES, "./shop/app.py", "/job/shop/app.py", "shop", "shop/", "..", "../x", "/etc/passwd", ".git/config", "a//b", "a/../b", ".", "",
     "shop/app.py/x", "tests/test_a.py", "a\0b", "\ud800", "a\nb", "\\", "x" * 5000, " shop/app.py "]
)  # fmt: skip
_NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([10**400, -(10**400), float("inf"), float("nan"), 2.0, 1e300, True, "5", "1e999"])
)
_ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, st.text(), _PATHS, st.sampled_from(['{"a": "b"}', '["a", "b"]', "[" * 2000])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
_DEEP = st.builds(lambda depth: json.loads("[" * depth + "]" * depth), st.integers(1, 300))
_KEYS = (
    "path",
    "old",
    "new",
    "content",
    "start",
    "lines",
    "pattern",
    "command",
    "reason",
    "detail",
    "explanations",
    "title",
    "behaviour",
    "files",
    "claim",
)
_LIKELY = st.fixed_dictionaries(
    {},
    optional={
        **{key: st.one_of(st.text(max_size=20), _ANY) for key in _KEYS},
        "path": st.one_of(_PATHS, _ANY),
        "start": st.one_of(_NUMBERS, _ANY),
        "lines": st.one_of(_NUMBERS, _ANY),
        "old": st.one_of(st.sampled_from(["eval(text)", "", "a = 1", "# caf\\xe9", "x = 1"]), _ANY),
        "files": st.one_of(st.dictionaries(_PATHS, st.text(max_size=9), max_size=2), _ANY),
        "reason": st.one_of(st.sampled_from(["needs-design", "fixed"]), _ANY),
        "deep": _DEEP,
    },
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    calls=st.lists(
        st.tuples(st.one_of(st.sampled_from(NAMES), st.text(max_size=12)), st.one_of(_LIKELY, st.dictionaries(st.text(max_size=8), _ANY))),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_is_called_is_answered(workspace: GitWorkspace, calls: list[tuple[str, dict[str, Any]]]) -> None:
    async def all_of_them() -> None:
        for desk in (FixDesk(workspace, ()), ShowDesk(workspace, FINDING, "agent")):
            for name, arguments in calls:
                call = desk.resolved(ToolCall(id="c", name=name, arguments=arguments))
                # As the ledger and the loop write it down.
                canonical_json([call.model_dump(mode="json"), call.arguments])
                told = await desk.call(call)
                assert isinstance(told, str) and told
                canonical_json(told)

    asyncio.run(all_of_them())


# What `fixed_dictionaries` rarely comes to: each tool with all that it requires, one of them strange.
_GOOD: dict[str, dict[str, Any]] = {
    "list": {"path": "shop"},
    "search": {"pattern": "a", "path": "shop"},
    "read": {"path": "README.md", "start": 1, "lines": 5},
    "run": {"command": "true"},
    "give_up": {"reason": "needs-design", "detail": "d"},
    "edit": {"path": "shop/app.py", "old": "eval(text)", "new": "int(text)"},
    "create": {"path": "shop/new.py", "content": "x = 1\n"},
    "hypotheses": {"explanations": ["one of some length, say", "another of some length"]},
    "submit": {"title": "t", "behaviour": "b"},
    "submit_reproducer": {"files": {"test_a.py": "x"}, "claim": "c"},
}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(sorted(_GOOD)), key=st.integers(0, 2), value=st.one_of(_PATHS, _NUMBERS, _ANY, _DEEP))
def test_one_strange_argument_is_answered(workspace: GitWorkspace, name: str, key: int, value: Any) -> None:
    given_ = {**_GOOD[name], sorted(_GOOD[name])[key % len(_GOOD[name])]: value}

    async def once() -> None:
        desk = ShowDesk(workspace, FINDING, "agent") if name == "submit_reproducer" else FixDesk(workspace, ())
        call = ToolCall(id="c", name=name, arguments=given_)
        assert canonical_json([call.model_dump(mode="json"), call.arguments])
        told = await desk.call(call)
        assert told and canonical_json(told)

    asyncio.run(once())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"path": "README.md", "start": 1e999}', "'inf' is not of type 'integer'"),
        ('{"path": "README.md", "start": NaN}', "'nan' is not of type 'integer'"),
        ('{"path": "README.md", "start": %s}' % ("9" * 5000), "is not of type 'integer'"),
        ('{"path": "README.md", "start": %s}' % ("9" * 30), "is not of type 'integer'"),
        ('{"path": ' + "[" * 400 + "]" * 400 + "}", "is not of type 'string'"),
        ('{"path": ["README.md"]}', "It takes path (string), start (integer, optional), lines (integer, optional)"),
        ('{"path": "README.md", "end": 3}', "'end' was unexpected"),
        ('{"path": "README.md", "start": "1", "lines": null}', "1 lines in all"),
        ('"{\\"path\\": \\"README.md\\"}"', "1 lines in all"),
        ('{"path": "READ\nME.md"}', "there is no regular file"),
    ],
    ids=lambda text: text[:30],
)
async def test_arguments_as_a_server_sends_them(workspace: GitWorkspace, text: str, told: str) -> None:
    call = ToolCall(id="c", name="read", arguments=read_arguments(text))
    assert ToolCall.model_validate_json(canonical_json(call.model_dump(mode="json"))) == call
    assert told in await FixDesk(workspace, ()).call(call)


@pytest.mark.parametrize(
    ("called", "meant"),
    [("functions.edit", "edit"), ("Edit", "edit"), ("mcp__desk__run_tests", "run_tests"), ("run-tests", "run_tests"), ("a b.c", "a_b_c")],
)
def test_a_tool_is_known_by_more_than_its_bare_name(workspace: GitWorkspace, called: str, meant: str) -> None:
    assert FixDesk(workspace, ()).resolved(ToolCall(id="c", name=called)).name == meant


async def test_a_near_tool_is_named(workspace: GitWorkspace) -> None:
    assert "did you mean 'run_tests'?" in await FixDesk(workspace, ()).call(ToolCall(id="c", name="run_test"))


async def call(desk: FixDesk, name: str, **arguments: Any) -> str:
    return await desk.call(ToolCall(id="c", name=name, arguments=arguments))


async def test_paths_are_taken_as_models_write_them(workspace: GitWorkspace) -> None:
    desk = FixDesk(workspace, ())
    for path in ("/job/shop/app.py", "./shop/app.py", "shop/app.py"):
        assert "eval(text)" in await call(desk, "read", path=path)
    assert "shop/app.py" in await call(desk, "read", path="src/app.py")
    assert "is a folder: use `list`" in await call(desk, "read", path="shop/")
    assert await call(desk, "edit", path="/job/shop/app.py", old="eval", new="int") == "done"
    assert list(desk.edits) == ["shop/app.py"]


async def test_tests_are_no_part_of_a_patch_and_the_rest_of_it_stays(workspace: GitWorkspace) -> None:
    desk = FixDesk(workspace, ())
    await call(desk, "edit", path="shop/app.py", old="eval", new="int")
    assert "test-edit" in (told := await call(desk, "create", path="tests/test_app.py", content="def test_a(): pass\n"))
    assert "leave that out of the patch" in told
    assert "your last edit was not done" in await call(desk, "submit", title="t", behaviour="b")
    assert await call(desk, "submit", title="t", behaviour="b") == "handed in"
    assert "tests" not in desk.outcome.diff


async def test_a_file_that_never_parsed_can_be_mended(tmp_path: Path) -> None:
    desk = FixDesk(FakeWorkspace({"old.py": "print 'x'\neval(y)\n", "new.py": "x = 1\n"}, tmp_path), ())
    await call(desk, "edit", path="old.py", old="eval(y)", new="int(y)")
    assert await call(desk, "submit", title="t", behaviour="b") == "handed in"
    await call(desk, "edit", path="new.py", old="x = 1", new="x = (")
    assert "new.py does not parse: " in await call(desk, "submit", title="t", behaviour="b")


async def test_a_file_that_is_no_text_is_told_to_be_none(workspace: GitWorkspace) -> None:
    desk = FixDesk(workspace, ())
    assert "only UTF-8 text can be patched" in await call(desk, "edit", path="shop/latin.py", old="# caf\\xe9", new="# tea")
    # Far enough from the bytes that are none, its text can be patched.
    assert await call(desk, "edit", path="shop/latin.py", old="x = 1", new="x = 2") == "done"


def test_a_large_program_is_listed_by_its_folders() -> None:
    paths = [f"pkg{n % 20}/m{n}.py" for n in range(5000)] + ["setup.py"]
    told = agent_view.listing(paths, "")
    assert "pkg3/ (250 files)" in told and "setup.py" in told and "5001 files in all" in told
    assert "pkg3/m3.py" in agent_view.listing(paths, "pkg3") and len(told) < 2_000
    assert "nothing below 'nope'" in agent_view.listing(paths, "nope")
    assert ".github/ci.yml" in agent_view.listing([".github/ci.yml", "github/x"], agent_view.tidy("./.github/"))


def test_a_long_file_is_read_page_by_page_without_a_gap() -> None:
    data = b"".join(b"line %d %s\n" % (n, b"x" * 300) for n in range(1, 2001))
    seen, start = [], 1
    for _ in range(100):
        told = agent_view.page(data, start, 400)
        seen += [int(line.split()[0]) for line in told.split("\n")[1:-2]]
        if "go on with start=" not in told:
            break
        start = int(told.rpartition("start=")[2])
    assert seen == list(range(1, 2001))
    assert "characters left out" not in told
    assert "[… 600 more characters of this line]" in agent_view.page(b"y" * 1000, 1, 1)
    assert "there is no line 9" in agent_view.page(b"a\n", 9, 1)


@pytest.mark.parametrize(
    ("pattern", "read"),
    [
        (r"\d+", "[0-9]+"),
        (r"[\d_]", "[0-9_]"),
        (r"\\d", r"\\d"),
        (r"(?:a|b)", "(a|b)"),
        ("[^]]x", "[^]]x"),
        (r"\bf\(", r"\bf\("),
        (r"a\sb", "a[[:space:]]b"),
    ],
)
def test_patterns_are_read_as_models_write_them(pattern: str, read: str) -> None:
    assert agent_view.posix(pattern) == read


class _Searched(FakeWorkspace):
    def sandbox(self, *, setup: Any = ()) -> Any:
        def grep(argv: tuple[str, ...]) -> ExecResult:
            self.asked.append(argv)
            if argv[1] == "-rnIE":
                return done(argv, exit_code=2).model_copy(update={"stderr": b"grep: Unmatched ( or \\(\n"})
            return done(argv, stdout=b"./shop/app.py:2:    return eval(text)\n" * 150)

        return FakeSandboxProvider().scripted(grep).holding(self.tree)


async def test_a_call_can_be_searched_for_as_it_is_written(tmp_path: Path) -> None:
    workspace = _Searched(FILES, tmp_path)
    workspace.asked = []
    told = await call(FixDesk(workspace, ()), "search", pattern="eval(", path="/job/shop")
    assert [argv[1] for argv in workspace.asked] == ["-rnIE", "-rnIF"] and workspace.asked[-1][-1] == "./shop"
    assert "taken as plain text" in told and "50 more lines match" in told
