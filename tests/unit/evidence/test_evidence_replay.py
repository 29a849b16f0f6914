from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.errors import SandboxUnavailableError, UsageError
from remediator.evidence.bundle import read, write
from remediator.evidence.comparison import flaky
from remediator.evidence.keys import TrustedKeys
from remediator.evidence.replay import ReplayOutcome, ReplayRequest, compare, evidence_digest, measured, replay, report, taken_over
from remediator.evidence.scrub import Scrubber
from remediator.records import Check, CheckStatus, EvidenceLevel, Outcome, Verdict
from remediator.records.verdict import fold

E3 = EvidenceLevel.E3


def verdict(**evidence: Any) -> Verdict:
    check = Check(name="tests", level=E3, status=CheckStatus.passed, evidence=evidence, seconds=1.0, artefacts={"log": "sha256:1"})
    return Verdict(patch_id="p-1", finding_id="f-1", outcome=Outcome.verified, level=E3, checks=(check,))


def with_check(told: Verdict, **changes: Any) -> Verdict:
    return told.model_copy(update={"checks": (told.checks[0].model_copy(update=changes),)})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"seconds": 1.0}, {"seconds": 2.0}),
        ({"build_seconds": 1}, {"build_seconds": 2}),
        ({"log_digest": "sha256:a"}, {"log_digest": "sha256:b"}),
        ({"runs": [{"container": "abc"}]}, {"runs": [{"container": "def"}]}),
        ({"image": "sha256:a"}, {"image": "sha256:b"}),
        ({"passed": ["a", "b"]}, {"passed": ["b", "a"]}),
        ({"runner": "pytest 8", "scanners": {"s": "1"}}, {"runner": "pytest 9", "scanners": {"s": "2"}}),
        (
            {"flaky_on_base": ["x"], "passing_on_base": 3, "failing_on_base": 0, "mended": ["x"]},
            {"flaky_on_base": [], "passing_on_base": 4, "failing_on_base": 1, "mended": []},
        ),
        ({"started": "x", "at": 1, "pid": 2}, {"started": "y", "at": 2, "pid": 3}),
        ({"flaky": ["x"], "failed": ["x"], "passed": ["a"]}, {"flaky": [], "failed": [], "passed": ["a", "x"]}),
        (
            {"flaky": ["x"], "executed": 3, "results": {"x": "failed", "y": "passed"}},
            {"flaky": ["x"], "executed": 2, "results": {"y": "passed"}},
        ),
    ],
)
def test_what_differs_from_run_to_run_does_not_count(before, after):
    recorded, replayed = verdict(**before), verdict(**after)

    assert compare(recorded, replayed) == ()
    aside = flaky(recorded) | flaky(replayed)
    assert evidence_digest(recorded, aside=aside) == evidence_digest(replayed, aside=aside)


@pytest.mark.parametrize(
    ("before", "after", "field", "item"),
    [
        ({"passed": ["a", "b"]}, {"passed": ["a"]}, "evidence.passed", "b"),
        ({"passed": ["a"]}, {"passed": ["a", "a"]}, "evidence.passed", "a"),
        ({"executed": 3}, {"executed": 2}, "evidence.executed", ""),
        ({"executed": 3, "flaky": []}, {"executed": 2, "flaky": []}, "evidence.executed", ""),
        ({"passing_on_base": 3, "flaky_on_base": []}, {"passing_on_base": 4, "flaky_on_base": []}, "evidence.passing_on_base", ""),
        ({"executed": True}, {"executed": 1}, "evidence.executed", ""),
        ({"results": {"t": "passed"}}, {"results": {"t": "failed"}}, "evidence.results.t", ""),
        ({"results": {"t": "passed"}}, {"results": {}}, "evidence.results.t", ""),
        ({"argv": ["a", "b"]}, {"argv": ["b", "a"]}, "evidence.argv", ""),
        ({"lines": {"a.py": [1, 2]}}, {"lines": {"a.py": [1]}}, "evidence.lines.a.py", ""),
        ({"x": None}, {}, "evidence.x", ""),
    ],
)
def test_first_difference_is_named_by_check_field_and_test(before, after, field, item):
    recorded, replayed = verdict(**before), verdict(**after)

    first = compare(recorded, replayed)[0]

    assert (first.check, first.field, first.item) == ("tests", field, item)
    assert evidence_digest(recorded) != evidence_digest(replayed)


@pytest.mark.parametrize("change", [{"status": CheckStatus.failed}, {"reason": "tests-regressed"}, {"level": EvidenceLevel.E2}])
def test_status_reason_and_level_count(change):
    (first,) = compare(verdict(), with_check(verdict(), **change))

    assert (first.check, first.field) == ("tests", next(iter(change)))
    assert evidence_digest(verdict()) != evidence_digest(with_check(verdict(), **change))


def test_check_that_is_not_there_counts_in_both_directions():
    without = verdict().model_copy(update={"checks": ()})

    assert compare(verdict(), without)[0].replayed == "absent"
    assert compare(without, verdict())[0].recorded == "absent"


@pytest.mark.parametrize("change", [{"patch_id": "p-2"}, {"finding_id": "f-2"}, {"outcome": Outcome.rejected}, {"level": None}])
def test_verdict_itself_counts(change):
    (only,) = compare(verdict(), verdict().model_copy(update=change))

    assert (only.check, only.field) == ("", next(iter(change)))


def test_cause_is_named_before_its_consequence():
    replayed = with_check(verdict(passed=[]), status=CheckStatus.failed).model_copy(update={"outcome": Outcome.rejected, "level": None})

    fields = [(d.check, d.field) for d in compare(verdict(passed=["t::x"]), replayed)]

    assert fields == [("tests", "status"), ("tests", "evidence.passed"), ("", "outcome"), ("", "level")]


def test_difference_is_safe_to_print():
    (only,) = compare(verdict(passed=["a\x1b[31m\n\u202eb"]), verdict(passed=[]))

    assert only.sentence == "check tests: evidence.passed: a\\x1b[31m\\x0a\\u202eb: recorded listed, replayed none"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("abx", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "passed", "seconds", "image", "flaky", "unsteady", "argv"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def test_false_is_not_zero():
    assert compare(verdict(e=[False, False]), verdict(e=[False, 0]))


@settings(max_examples=200, deadline=None)
@given(json_values, json_values)
def test_comparison_and_digest_always_agree(before, after):
    recorded, replayed = verdict(e=before), verdict(e=after)
    aside = flaky(recorded) | flaky(replayed)

    same = evidence_digest(recorded, aside=aside) == evidence_digest(replayed, aside=aside)

    assert (compare(recorded, replayed) == ()) == same
    assert compare(recorded, recorded) == ()


def judge_of(result: Verdict | Exception, seen: list[ReplayRequest] | None = None) -> Callable[[ReplayRequest], Any]:
    async def judge(request: ReplayRequest) -> Verdict:
        if seen is not None:
            seen.append(request)
        if isinstance(result, Exception):
            raise result
        return result

    return judge


async def test_replay_that_comes_to_the_same_agrees_and_gives_the_signed_digest(world, ref):
    bundle = read(ref.path, TrustedKeys([world.key.public]))
    seen: list[ReplayRequest] = []
    again = world.content.attempts[1].verdict

    report = await replay(bundle, judge_of(again.model_copy(update={"checks": slower(again)}), seen))

    assert report.agreed
    assert report.recorded_digest == report.replayed_digest
    assert report.signature.trusted
    assert seen[0].patch == world.content.attempts[1].patch
    assert {member.path for member in seen[0].base.files()} >= {"pkg/app.py"}
    assert not hasattr(seen[0], "verdict")


def slower(told: Verdict) -> tuple[Check, ...]:
    return tuple(check.model_copy(update={"seconds": 99.0, "summary": "took long"}) for check in told.checks)


async def test_replay_that_comes_to_something_else_names_it(world, ref):
    again = world.content.attempts[1].verdict
    checks = tuple(
        c.model_copy(update={"evidence": {**c.evidence, "passed": ["t::a", "t::c"]}}) if c.name == "tests" else c for c in again.checks
    )

    report = await replay(read(ref.path), judge_of(again.model_copy(update={"checks": checks})))

    assert report.outcome is ReplayOutcome.differs
    assert (report.differences[0].field, report.differences[0].item) == ("evidence.passed", "t::b")
    assert not report.signature.trusted


async def test_other_image_is_a_note_and_no_difference(world, ref):
    again = world.content.attempts[1].verdict
    checks = tuple(
        c.model_copy(update={"evidence": {**c.evidence, "image": "sha256:bbb"}}) if c.name == "builds" else c for c in again.checks
    )

    report = await replay(read(ref.path), judge_of(again.model_copy(update={"checks": checks})))

    assert report.agreed
    assert any("image: recorded sha256:aaa, replayed sha256:bbb" in note for note in report.notes)


async def test_folders_of_the_replaying_machine_make_no_difference(world, tmp_path):
    recorded = put_path(world.content.attempts[1].verdict, "/srv/ours/state/x")
    content = world.content._replace(
        attempts=(world.content.attempts[1]._replace(verdict=recorded),), chosen=0, scrub=Scrubber(paths={"/srv/ours/state": "state"})
    )
    bundle = read(write(tmp_path, content, world.key).path)
    theirs = put_path(recorded, "/opt/theirs/x")

    assert (await replay(bundle, judge_of(theirs), scrub=Scrubber(paths={"/opt/theirs": "state"}))).agreed
    assert not (await replay(bundle, judge_of(theirs))).agreed


def put_path(told: Verdict, path: str) -> Verdict:
    checks = tuple(c.model_copy(update={"evidence": {**c.evidence, "where": path}}) if c.name == "applies" else c for c in told.checks)
    return told.model_copy(update={"checks": checks})


async def test_replay_without_a_sandbox_is_no_disagreement_and_no_agreement(world, ref):
    again = world.content.attempts[1].verdict
    checks = tuple(
        c.model_copy(update={"status": CheckStatus.not_run, "reason": "no-sandbox", "evidence": {}}) if c.level >= EvidenceLevel.E1 else c
        for c in again.checks
    )
    lacking = again.model_copy(update={"checks": checks, "level": EvidenceLevel.E0})

    report = await replay(read(ref.path), judge_of(lacking))

    assert report.outcome is ReplayOutcome.could_not_check
    with pytest.raises(SandboxUnavailableError):
        await replay(read(ref.path), judge_of(SandboxUnavailableError("no engine")))


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (CheckStatus.inconclusive, ReplayOutcome.could_not_check),
        (CheckStatus.infra_error, ReplayOutcome.could_not_check),
        (CheckStatus.failed, ReplayOutcome.differs),
    ],
)
async def test_only_another_answer_is_a_disagreement(world, ref, status, outcome):
    again = world.content.attempts[1].verdict
    checks = tuple(c.model_copy(update={"status": status, "reason": "timeout"}) if c.name == "tests" else c for c in again.checks)

    assert (await replay(read(ref.path), judge_of(again.model_copy(update={"checks": checks})))).outcome is outcome


async def test_rejected_case_replays_its_last_judged_patch(world, tmp_path):
    bundle = read(write(tmp_path, world.content._replace(attempts=world.content.attempts[:1], chosen=None), world.key).path)

    report = await replay(bundle, judge_of(world.content.attempts[0].verdict))

    assert report.agreed
    assert report.patch_id == world.content.attempts[0].patch.id


async def test_declined_case_has_nothing_to_replay(world, tmp_path):
    bundle = read(write(tmp_path, world.content._replace(attempts=(), chosen=None), world.key).path)

    with pytest.raises(UsageError, match="no judged patch"):
        await replay(bundle, judge_of(verdict()))


def ladder(**statuses: CheckStatus) -> Verdict:
    levels = {
        "tests": E3,
        "reproducer": EvidenceLevel.E4,
        "variants": EvidenceLevel.E5,
        "reviewer": EvidenceLevel.E5,
        "replayed": EvidenceLevel.E5,
    }
    below = [Check(name=f"b{n}", level=EvidenceLevel(n), status=CheckStatus.passed) for n in range(3)]
    checks = [
        *below,
        *(
            Check(name=name, level=level, status=statuses.get(name, CheckStatus.passed), reason="" if name not in statuses else "x")
            for name, level in levels.items()
        ),
    ]
    return fold(checks, patch_id="p-1", finding_id="f-1", required=E3, expected=[(c.name, c.level) for c in checks])


def without_answers(told: Verdict) -> Verdict:
    checks = [
        check.model_copy(update={"status": CheckStatus.not_run, "reason": "not-replayed"})
        if check.name in ("reviewer", "replayed")
        else check
        for check in told.checks
    ]
    return fold(checks, patch_id="p-1", finding_id="f-1", required=E3, expected=[(c.name, c.level) for c in checks])


@pytest.mark.parametrize(
    ("recorded", "raised"),
    [
        (ladder(replayed=CheckStatus.not_run), EvidenceLevel.E5),
        (ladder(replayed=CheckStatus.not_run, variants=CheckStatus.not_run), None),
        (ladder(replayed=CheckStatus.not_run, reviewer=CheckStatus.inconclusive), None),
    ],
)
def test_an_independent_replay_raises_what_lacked_nothing_else_to_e5(world, ref, recorded, raised):
    replayed = taken_over(without_answers(recorded), recorded)
    told = report(read(ref.path), recorded, replayed)
    assert told.agreed, told.differences
    assert told.raises == raised
    assert any("reviewer is as recorded" in note for note in told.notes)


def test_words_alone_raise_nothing_to_e5(world, ref):
    checks = [check for check in ladder(replayed=CheckStatus.not_run).checks if check.level < EvidenceLevel.E5 or check.name != "variants"]
    checks = [check for check in checks if check.name != "controls"]
    expected = [(check.name, check.level) for check in checks]
    recorded = fold(checks, patch_id="p-1", finding_id="f-1", required=E3, expected=expected)
    told = report(read(ref.path), recorded, taken_over(without_answers(recorded), recorded))
    assert told.agreed and recorded.level is EvidenceLevel.E4
    assert told.raises is None


def test_a_measured_check_is_never_taken_over(world, ref):
    recorded = ladder(replayed=CheckStatus.not_run)
    worse = without_answers(ladder(replayed=CheckStatus.not_run, reproducer=CheckStatus.failed))
    told = report(read(ref.path), recorded, taken_over(worse, recorded))
    assert told.outcome is ReplayOutcome.differs
    assert told.raises is None


@pytest.mark.parametrize("standing_for", [(("reviewer", 3), ("replayed", 4)), (("reviewer", 3),), (("reviewer", 5), ("replayed", 5))])
async def test_a_bundle_that_lets_its_reviewer_stand_for_its_tests_is_not_confirmed(world, tmp_path, standing_for):
    """What is forged: `expected` leaves out what did not pass, and what no replay can measure says that it passed in its place."""
    patch = world.content.attempts[1].patch
    asked = [*(Check(name=f"b{n}", level=EvidenceLevel(n), status=CheckStatus.passed) for n in range(3))]
    told = [*asked, *(Check(name=name, level=EvidenceLevel(level), status=CheckStatus.passed) for name, level in standing_for)]
    expected = tuple((check.name, check.level) for check in told)
    forged = fold(told, patch_id=patch.id, finding_id=patch.finding_id, required=E3, expected=expected)
    content = world.content._replace(attempts=(world.content.attempts[1]._replace(verdict=forged),), chosen=0, expected=expected)
    bundle = read(write(tmp_path, content, world.key).path)
    open_ones = [Check(name="tests", level=E3, status=CheckStatus.not_run, reason="no-tests")]
    open_ones += [
        Check(name=n, level=EvidenceLevel.E5, status=CheckStatus.not_run, reason="not-replayed") for n in ("reviewer", "replayed")
    ]
    honest = [*asked, *open_ones]

    async def judge(request: ReplayRequest) -> Verdict:
        levels = [(check.name, check.level) for check in honest]
        return fold(honest, patch_id=patch.id, finding_id=patch.finding_id, required=request.required, expected=levels)

    told_of = await replay(bundle, judge)

    assert not told_of.agreed
    assert told_of.replayed.level is EvidenceLevel.E2
    assert told_of.raises is None


def test_what_was_measured_here_is_told_apart_from_what_was_taken_over():
    recorded = ladder()
    replayed = taken_over(without_answers(recorded), recorded)
    assert (replayed.level, measured(replayed).level) == (EvidenceLevel.E5, EvidenceLevel.E4)
    assert {check.name for check in measured(replayed).checks if check.reason == "not-replayed"} == {"reviewer", "replayed"}


def test_a_recorded_objection_is_no_measurement_either():
    recorded = ladder(reviewer=CheckStatus.failed)
    assert measured(taken_over(without_answers(recorded), recorded)).outcome is Outcome.verified
