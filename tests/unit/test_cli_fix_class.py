"""How much a person has to look at a fix: a table."""

from __future__ import annotations

import pytest

from remediator.cli.fix_class import FixClass, class_of
from remediator.records import Case, Check, CheckStatus, EvidenceLevel, Finding, Outcome, Patch, Spend, Verdict

E2, E3, E4 = EvidenceLevel.E2, EvidenceLevel.E3, EvidenceLevel.E4
MODEL = Spend(input_tokens=10)
WARNING = {"warning": "no test runs any changed line"}


@pytest.mark.parametrize(
    ("outcome", "level", "spend", "evidence", "expected"),
    [
        (Outcome.verified, E3, Spend(), {}, FixClass.safe),
        (Outcome.verified, E4, Spend(), {}, FixClass.safe),
        (Outcome.verified, E3, Spend(), WARNING, FixClass.review),
        (Outcome.verified, E3, MODEL, {}, FixClass.review),
        (Outcome.verified, E4, MODEL, {}, FixClass.safe),
        (Outcome.verified, E2, Spend(), {}, FixClass.review),
        (Outcome.verified, EvidenceLevel.E1, Spend(), {}, FixClass.none),
        (Outcome.rejected, None, Spend(), {}, FixClass.none),
        (Outcome.rejected, E3, Spend(), {}, FixClass.none),
        (Outcome.inconclusive, None, Spend(), {}, FixClass.none),
    ],
)
def test_the_class_comes_from_the_evidence(outcome, level, spend, evidence, expected):
    found = Finding.at(rule_id="r", scanner="s", message="m", location=None, snippet="")
    patch = Patch.of(finding_id=found.id, fixer="f", title="t", diff="d")
    check = Check(name="tests", level=E3, status=CheckStatus.passed, evidence=evidence)
    verdict = Verdict(patch_id=patch.id, finding_id=found.id, outcome=outcome, level=level, checks=(check,))
    case = Case(id="fx-1", run_id="r", finding=found, patches=(patch,), verdicts=(verdict,), spend=spend)
    assert class_of(case) is expected


def test_a_case_without_a_patch_has_no_fix():
    found = Finding.at(rule_id="r", scanner="s", message="m", location=None, snippet="")
    assert class_of(Case(id="fx-1", run_id="r", finding=found)) is FixClass.none
