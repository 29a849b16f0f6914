"""E4 and E5 from scripted runs: what is red, what is needed, what is in doubt."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from remediator.builtin.mutated_inputs import mutated
from remediator.builtin.reproducer_verifier import ReproducerVerifier, parts_of
from remediator.builtin.reviewer_verifier import ReviewerVerifier
from remediator.builtin.special_input import special_cased
from remediator.builtin.variants_verifier import ControlsVerifier, VariantsVerifier
from remediator.contracts import Reply
from remediator.diff import parse
from remediator.records import Acceptance, CheckStatus, Finding, Patch, Reproducer, TestOutcome, TestRun
from remediator.testing.fake_llm import ScriptedLlm
from remediator.testing.fake_workspace import FakeWorkspace

BASE = {"a.py": "".join(f"line{n} = {n}\n" for n in range(40))}
FIXED = {"a.py": BASE["a.py"].replace("line2 = 2\n", "line2 = 22\n").replace("line30 = 30\n", "line30 = 33\n")}
FINDING = Finding.at(rule_id="r", scanner="s", message="m", location=None, snippet="")
TEST = 'from a import f\n\n\ndef test_x():\n    assert f("attack input", 5) == 1\n'
REPRODUCER = Reproducer.of(finding_id=FINDING.id, author="supplied", files={"test_x.py": TEST})
X, V, C = "test_x.py::test_x", "test_x.py::test_variant_v", "test_x.py::test_control_c"
ACCEPTED = Acceptance(reproducer_id="", shows=(X,), variants=(V,), controls=(C,), runs=3)


def run(red: tuple[str, ...] = (), *, problems: tuple[str, ...] = ()) -> TestRun:
    results = {test: TestOutcome.failed if test in red else TestOutcome.passed for test in (X, V, C)}
    return TestRun(complete=not problems, problems=problems, results=results, raised=dict.fromkeys(red, "AssertionError"))


GREEN, RED = run(), run((X,))
ERROR = TestRun(complete=True, results={X: TestOutcome.error}, raised={X: "ImportError"})
SEEN = (GREEN, GREEN, GREEN, GREEN, RED)  # three times the patch, then the patch written anew and a twin of the base


async def judged(tmp_path: Path, verifier, probed, *, accepted=(ACCEPTED,), tree=FIXED, reproducer=REPRODUCER, models=None):
    workspace = FakeWorkspace(BASE, tmp_path, tree=tree, reproducer=reproducer, accepted=accepted, probed=probed, models=models)
    diff = FakeWorkspace(BASE, tmp_path).diff({path: text.encode() for path, text in tree.items()})
    check = await verifier.verify(FINDING, Patch.of(finding_id=FINDING.id, fixer="x", title="t", diff=diff), workspace)
    return check, workspace


@pytest.mark.parametrize(
    ("probed", "status", "reason"),
    [
        ([*SEEN, RED, RED], CheckStatus.passed, ""),
        ([RED, RED, RED], CheckStatus.failed, "still-vulnerable"),
        ([GREEN, RED, GREEN], CheckStatus.inconclusive, "flaky"),
        ([GREEN, run(problems=("truncated",))], CheckStatus.inconclusive, "truncated"),
        ([*SEEN, RED, GREEN], CheckStatus.inconclusive, "unneeded-hunk"),
        ([*SEEN, run((V,)), run((V,))], CheckStatus.passed, ""),
        ([*SEEN, run((C,)), RED], CheckStatus.inconclusive, "unneeded-hunk"),
        ([*SEEN, TestRun(complete=False, problems=("no-tests",)), RED], CheckStatus.inconclusive, "unneeded-hunk"),
    ],
)
async def test_the_reproducer_decides(tmp_path: Path, probed: list[TestRun], status: CheckStatus, reason: str) -> None:
    check, _ = await judged(tmp_path, ReproducerVerifier(), probed)
    assert (check.status, check.reason) == (status, reason), check.summary


@pytest.mark.parametrize(
    ("probed", "status", "reason"),
    [
        ([RED, RED], CheckStatus.inconclusive, "form-dependent"),
        ([RED, GREEN, RED, RED, RED], CheckStatus.passed, ""),
        ([run(problems=("oom",))], CheckStatus.inconclusive, "twin-unclear"),
        ([GREEN, GREEN], CheckStatus.inconclusive, "marker-only"),
        ([GREEN, ERROR, GREEN], CheckStatus.inconclusive, "marker-only"),
        ([GREEN, ERROR, RED, RED, RED], CheckStatus.passed, ""),
        ([GREEN, ERROR, ERROR, ERROR], CheckStatus.inconclusive, "twin-unclear"),
        ([GREEN, ERROR, ERROR, RED, RED, RED], CheckStatus.passed, ""),
    ],
)
async def test_twins_tell_behaviour_from_text(tmp_path: Path, probed: list[TestRun], status: CheckStatus, reason: str) -> None:
    check, _ = await judged(tmp_path, ReproducerVerifier(), [GREEN, GREEN, GREEN, *probed])
    assert (check.status, check.reason) == (status, reason), check.summary


async def test_without_a_reproducer_nothing_is_shown(tmp_path: Path) -> None:
    for verifier in (ReproducerVerifier(), VariantsVerifier(), ControlsVerifier()):
        check, _ = await judged(tmp_path, verifier, [GREEN], reproducer=None)
        assert (check.status, check.reason) == (CheckStatus.not_run, "no-reproducer")


async def test_one_that_was_not_red_on_the_base_shows_nothing(tmp_path: Path) -> None:
    refused = Acceptance(reproducer_id="", reason="not-red", detail="passes")
    for verifier in (ReproducerVerifier(), VariantsVerifier(), ControlsVerifier()):
        check, _ = await judged(tmp_path, verifier, [GREEN], accepted=[refused])
        assert check.status is CheckStatus.not_run


async def test_each_hunk_is_taken_back_alone(tmp_path: Path) -> None:
    _, workspace = await judged(tmp_path, ReproducerVerifier(), [*SEEN, RED, RED])
    without = [edits["a.py"].decode() for _, edits in workspace.probes[len(SEEN) :]]
    assert without == [
        BASE["a.py"].replace("line30 = 30\n", "line30 = 33\n"),
        BASE["a.py"].replace("line2 = 2\n", "line2 = 22\n"),
    ]


async def test_a_patch_that_knows_the_input_is_no_fix(tmp_path: Path) -> None:
    tree = {"a.py": BASE["a.py"] + 'if line1 == "attack input":\n    raise ValueError\n'}
    check, _ = await judged(tmp_path, ReproducerVerifier(), [GREEN], tree=tree)
    assert (check.status, check.reason) == (CheckStatus.failed, "special-cased-input")


@pytest.mark.parametrize(
    ("added", "known"),
    [
        ('x = y.startswith("attack input")\n', True),
        ('BAD = {"attack input"}\n', True),
        ('x = "attack input" in y\n', True),
        ('print("attack input")\n', False),
        ('x = y.startswith("attack")\n', False),
        ("x = y == 5\n", False),
        ('x = y == "line3"\n', False),
        ('x = y == "a benign use"\n', False),
    ],
)
def test_what_counts_as_knowing(added: str, known: bool) -> None:
    files = {"test_x.py": TEST + '    f("line3")\n\n\ndef test_control_c():\n    assert f("a benign use")\n'}
    workspace = FakeWorkspace(BASE, Path())
    after = BASE["a.py"] + added
    changes = parse(workspace.diff({"a.py": after.encode()}))
    assert bool(special_cased(changes, files, {"a.py": after.encode()}, {"a.py": BASE["a.py"].encode()})) is known


def test_parts_of_new_files_cannot_be_taken_back(tmp_path: Path) -> None:
    workspace = FakeWorkspace(BASE, tmp_path)
    diff = workspace.diff({"b.py": b"x = 1\n"})
    (part,) = parts_of(Patch.of(finding_id="f", fixer="x", title="t", diff=diff), workspace)
    assert part.edits is None


@pytest.mark.parametrize(
    ("probed", "status", "reason"),
    [
        ([GREEN], CheckStatus.passed, ""),
        ([run((V,))], CheckStatus.failed, "variant-vulnerable"),
        ([run((V,)), GREEN], CheckStatus.passed, ""),
        ([run(problems=("oom",))], CheckStatus.inconclusive, "oom"),
    ],
)
async def test_variants(tmp_path: Path, probed: list[TestRun], status: CheckStatus, reason: str) -> None:
    check, _ = await judged(tmp_path, VariantsVerifier(mutations=0), probed)
    assert (check.status, check.reason) == (status, reason), check.summary


async def test_a_changed_input_that_stays_red_is_a_doubt_and_no_rejection(tmp_path: Path) -> None:
    made = Acceptance(reproducer_id="", reason="no-main-test", variants=("test_changed_x.py::test_variant_0",))
    red = TestRun(complete=True, results={"test_changed_x.py::test_variant_0": TestOutcome.failed})
    check, _ = await judged(tmp_path, VariantsVerifier(), [GREEN, red, red], accepted=[ACCEPTED, made])
    assert (check.status, check.reason) == (CheckStatus.inconclusive, "variant-unclear")


@pytest.mark.parametrize(
    ("probed", "status", "reason"),
    [([GREEN], CheckStatus.passed, ""), ([run((C,))], CheckStatus.failed, "control-broken"), ([run((V,))], CheckStatus.passed, "")],
)
async def test_controls(tmp_path: Path, probed: list[TestRun], status: CheckStatus, reason: str) -> None:
    check, _ = await judged(tmp_path, ControlsVerifier(), probed)
    assert (check.status, check.reason) == (status, reason), check.summary


async def test_no_controls_is_no_pass(tmp_path: Path) -> None:
    check, _ = await judged(tmp_path, ControlsVerifier(), [GREEN], accepted=[ACCEPTED.model_copy(update={"controls": ()})])
    assert (check.status, check.reason) == (CheckStatus.not_run, "no-controls")


OBJECTION = '{"test": "from a import f\\ndef test_o():\\n    assert f(1)\\n", "why": "w"}'
NOT_RED = Acceptance(reproducer_id="", reason="not-red", detail="passes")
O_RED = TestRun(complete=True, results={"test_objection.py::test_o": TestOutcome.failed})
O_DOUBT = TestRun(complete=False, problems=("reads-source",), results={"test_objection.py::test_o": TestOutcome.passed})
O_NONE = TestRun(complete=True, results={})
O_GREEN = TestRun(complete=True, results={"test_objection.py::test_o": TestOutcome.passed})


@pytest.mark.parametrize(
    ("said", "accepted", "probed", "status", "reason"),
    [
        ('{"test": "", "why": "fine"}', ACCEPTED, [GREEN], CheckStatus.passed, ""),
        ("All is well. VERDICT: verified E5", ACCEPTED, [GREEN], CheckStatus.inconclusive, "no-answer"),
        ('{"test": "assert f({}) == 1', ACCEPTED, [GREEN], CheckStatus.inconclusive, "no-answer"),
        (OBJECTION, NOT_RED, [O_DOUBT], CheckStatus.inconclusive, "objection-unclear"),
        (OBJECTION, NOT_RED, [O_NONE], CheckStatus.inconclusive, "objection-unclear"),
        (OBJECTION, NOT_RED, [O_RED, O_GREEN], CheckStatus.inconclusive, "objection-unclear"),
        (f"Here:\n```json\n{OBJECTION}\n```", NOT_RED, [O_RED], CheckStatus.failed, "objection-upheld"),
        (OBJECTION, NOT_RED, [O_GREEN], CheckStatus.passed, ""),
        (OBJECTION, ACCEPTED, [O_RED], CheckStatus.inconclusive, "objection-open"),
        (OBJECTION, ACCEPTED, [O_GREEN], CheckStatus.passed, ""),
        (OBJECTION, Acceptance(reproducer_id="", reason="not-honest", detail="d"), [O_RED], CheckStatus.inconclusive, "objection-unusable"),
    ],
)
async def test_a_reviewer_may_object_with_a_test_only(tmp_path: Path, said, accepted, probed, status, reason) -> None:
    llm = ScriptedLlm(replies=(Reply(text=said),))
    check, _ = await judged(tmp_path, ReviewerVerifier(llm="default"), probed, accepted=[accepted], models={"default": llm})
    assert (check.status, check.reason) == (status, reason), check.summary
    asked = llm.prompts[0].messages[0].text
    assert "+line2 = 22" in asked and "title" not in asked


async def test_an_opinion_that_was_cut_is_none(tmp_path: Path) -> None:
    llm = ScriptedLlm(replies=(Reply(text='{"test": ""}', stop="length"),))
    check, _ = await judged(tmp_path, ReviewerVerifier(llm="default"), [GREEN], accepted=[ACCEPTED], models={"default": llm})
    assert (check.status, check.reason) == (CheckStatus.inconclusive, "no-answer")


async def test_without_a_model_there_is_no_review(tmp_path: Path) -> None:
    for llm in ("none", "default"):
        check, _ = await judged(tmp_path, ReviewerVerifier(llm=llm), [GREEN])
        assert (check.status, check.reason) == (CheckStatus.not_run, "no-model")


def test_inputs_are_changed_and_expectations_are_not() -> None:
    text = (
        TEST
        + '\n\ndef test_variant_old():\n    assert 0\n\n\ndef test_y():\n    expected = "want"\n    got = f("give")\n    assert got == expected\n'
    )
    (made,) = mutated({"test_x.py": text}, 40).values()
    tree = ast.parse(made)
    names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert len(names) > 5
    assert all(name.startswith("test_variant_") for name in names)
    assert "'want'" in made and "'WANT'" not in made
    assert "'GIVE'" in made
