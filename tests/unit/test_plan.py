"""The whole policy, as a table."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from remediator.engine.plan import Close, Judge, Propose, Reproduce, Seal, Submit, next_step
from remediator.playbook import Playbook, Use
from remediator.records import Case, CheckStatus, Declined, EvidenceLevel, Finding, Location, Patch, ReasonCode, Receipt
from remediator.records.reproducer import Reproducer
from remediator.records.verdict import Check, Outcome, Verdict

AT = datetime(2026, 1, 1, tzinfo=UTC)
FINDING = Finding.at(rule_id="r", scanner="s", message="m", location=None, snippet="x")
PLAYBOOK = Playbook.model_validate(
    {
        "name": "p",
        "fix": [{"use": "one"}, {"use": "two"}],
        "submit": [{"use": "spool"}, {"use": "branch"}],
        "limits": {"attempts": 2, "minutes": 10},
    }
)


def patch(text: str) -> Patch:
    return Patch.of(finding_id=FINDING.id, fixer="one", title="t", diff=text)


def verdict(of: Patch, outcome: Outcome, level: EvidenceLevel | None) -> Verdict:
    return Verdict(patch_id=of.id, finding_id=FINDING.id, outcome=outcome, level=level, summary="why")


def case(**changes: object) -> Case:
    return Case(id="fx-1", run_id="run-1", finding=FINDING).model_copy(update=changes)


A, B = patch("a"), patch("b")
NO_ONE = Declined(finding_id=FINDING.id, fixer="one", reason=ReasonCode.no_safe_transform, detail="d1")
NO_TWO = Declined(finding_id=FINDING.id, fixer="two", reason=ReasonCode.needs_model, detail="d2")
PROVEN = verdict(A, Outcome.verified, EvidenceLevel.E3)
REJECTED = verdict(A, Outcome.rejected, None)
BROKEN = verdict(A, Outcome.infra_error, None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (case(), Propose("one")),
        (case(declined=(NO_ONE,)), Propose("two")),
        (case(declined=(NO_ONE, NO_TWO)), Seal(ReasonCode.needs_model, "d2")),
        (case(declined=(NO_ONE, NO_TWO), bundle_digest="x"), Close(ReasonCode.needs_model, "d2")),
        (case(patches=(A,)), Judge(A)),
        (case(patches=(A,), verdicts=(REJECTED,)), Propose("one")),
        (case(patches=(A,), verdicts=(REJECTED,), declined=(NO_ONE,)), Propose("two")),
        (case(patches=(A, B), verdicts=(REJECTED,)), Judge(B)),
        (
            case(patches=(A, B), verdicts=(REJECTED, verdict(B, Outcome.rejected, None))),
            Seal(ReasonCode.verify_failed, "rejected: why"),
        ),
        (case(patches=(A,), verdicts=(BROKEN,)), Judge(A)),
        (case(patches=(A,), verdicts=(BROKEN, BROKEN)), Judge(A)),
        (case(patches=(A,), verdicts=(BROKEN,) * 3, declined=(NO_ONE, NO_TWO)), Seal(ReasonCode.could_not_check, "infra_error: why")),
        (case(patches=(A,), verdicts=(PROVEN,)), Seal(ReasonCode.fixed, "")),
        (case(patches=(A,), verdicts=(PROVEN,), bundle_digest="x"), Submit("spool")),
        (case(patches=(A,), verdicts=(PROVEN,), bundle_digest="x", receipts=(Receipt(submission_id="s", sink="spool"),)), Submit("branch")),
        (
            case(
                patches=(A,),
                verdicts=(PROVEN,),
                bundle_digest="x",
                receipts=(Receipt(submission_id="s", sink="spool"), Receipt(submission_id="s", sink="branch")),
            ),
            Close(ReasonCode.fixed, ""),
        ),
        (case(patches=(A,), verdicts=(verdict(A, Outcome.verified, EvidenceLevel.E2),)), Seal(ReasonCode.below_required, "why")),
        (case(closed=ReasonCode.fixed), None),
    ],
)
def test_the_next_step_follows_from_the_case(given: Case, expected: object) -> None:
    assert next_step(PLAYBOOK, given) == expected


def test_a_case_out_of_time_is_closed_for_its_budget() -> None:
    step = next_step(PLAYBOOK, case(patches=(A,), verdicts=(REJECTED,)), minutes=11)
    assert step == Seal(ReasonCode.budget, "10 minutes are used up")


def test_a_patch_that_exists_is_judged_even_when_time_is_up() -> None:
    assert next_step(PLAYBOOK, case(patches=(A,)), minutes=11) == Judge(A)


def test_a_finding_that_another_fix_removes_is_a_duplicate() -> None:
    assert next_step(PLAYBOOK, case(), fixed_by="fx-2") == Seal(ReasonCode.duplicate, "already gone with fx-2")


def test_an_insufficient_level_is_never_handed_over() -> None:
    weak = Verdict(
        patch_id=A.id,
        finding_id=FINDING.id,
        outcome=Outcome.verified,
        level=EvidenceLevel.E2,
        required=EvidenceLevel.E3,
        checks=(Check(name="tests", level=EvidenceLevel.E3, status=CheckStatus.not_run),),
    )
    assert not isinstance(next_step(PLAYBOOK, case(patches=(A,), verdicts=(weak,), bundle_digest="x")), Submit)


def _in(path: str) -> Case:
    from remediator.records import Location

    found = Finding.at(rule_id="r", scanner="s", message="m", location=Location(path=path), snippet="x")
    return Case(id="fx-1", run_id="run-1", finding=found)


GUARDED = PLAYBOOK.model_copy(update={"verify": Playbook.model_validate({"name": "p", "verify": [{"use": "guards"}]}).verify})


def test_a_finding_where_no_patch_may_go_is_out_of_scope() -> None:
    assert next_step(GUARDED, _in("tests/test_a.py")) == Seal(ReasonCode.out_of_scope, "no patch may touch this file (test-edit)")


def test_a_finding_in_the_product_is_not() -> None:
    assert next_step(GUARDED, _in("app/a.py")) == Propose("one")


def test_what_the_operator_allowed_is_in_scope() -> None:
    allowed = Playbook.model_validate({"name": "p", "verify": [{"use": "guards", "with": {"allow": ["tests/*"]}}]}).verify
    assert next_step(GUARDED.model_copy(update={"verify": allowed}), _in("tests/test_a.py")) == Propose("one")


def test_fixers_that_work_at_a_place_are_not_asked_where_there_is_none() -> None:
    local = PLAYBOOK.model_copy(update={"fix": (Use(use="suggested"), Use(use="codemod"), Use(use="agent"))})
    assert next_step(local, case()) == Propose("agent")
    placed = FINDING.model_copy(update={"location": Location(path="app.py")})
    assert next_step(local, case(finding=placed)) == Propose("suggested")
    none = local.model_copy(update={"fix": local.fix[:2]})
    assert next_step(none, case()) == Seal(ReasonCode.needs_model, "the playbook has no fixer for it")


SHOWN = Reproducer.of(finding_id=FINDING.id, author="one", files={"test_x.py": "def test_x():\n    assert f()\n"})


@pytest.mark.parametrize(
    ("given", "authors", "required", "expected"),
    [
        (case(), (), "E3", Propose("one")),
        (case(), ("supplied",), "E3", Reproduce("supplied")),
        (case(), ("one",), "E3", Reproduce("one")),
        (case(), ("two",), "E3", Propose("one")),
        (case(), ("two",), "E4", Reproduce("two")),
        (case(reproducer=SHOWN), ("supplied", "one"), "E4", Propose("one")),
        (case(unreproduced={"one": "not-red"}), ("one",), "E3", Propose("one")),
        (case(unreproduced={"one": "not-red"}), ("one",), "E4", Seal(ReasonCode.could_not_check, "nothing shows the flaw: not-red")),
        (case(unreproduced={"one": "budget: spent"}), ("one",), "E4", Seal(ReasonCode.budget, "nothing shows the flaw: budget: spent")),
        (case(patches=(A, B), verdicts=(PROVEN,)), (), "E3", Judge(B)),
    ],
)
def test_a_flaw_is_shown_before_it_is_repaired(given: Case, authors: tuple[str, ...], required: str, expected: object) -> None:
    assert next_step(PLAYBOOK, given, authors=authors, required=EvidenceLevel[required]) == expected
