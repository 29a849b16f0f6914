"""A finding's own fix is made exactly, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from remediator.builtin.suggested_fixer import SuggestedFixer
from remediator.contracts import Attempt
from remediator.records import Declined, Finding, Location, Outcome, Patch, ReasonCode, SuggestedFix, TextEdit, Verdict
from remediator.testing import FakeWorkspace
from remediator.testing.conformance import FixerConformance

FILES: dict[str, str | bytes] = {"a.py": "é = 1\nyaml.load(x)\n", "b.py": "y = 2\n"}


def at(line: int, start: int, end: int, path: str = "a.py") -> Location:
    return Location(path=path, start_line=line, start_column=start, end_line=line, end_column=end)


def edit(text: str, line: int = 2, start: int = 6, end: int = 10, path: str = "a.py") -> TextEdit:
    return TextEdit(location=at(line, start, end, path), text=text)


def finding(*fixes: tuple[TextEdit, ...], snippet: str = "yaml.load(x)") -> Finding:
    suggested = tuple(SuggestedFix(description="Load safely", edits=edits) for edits in fixes)
    return Finding.at(rule_id="R", scanner="s", message="m", location=at(2, 1, 13), snippet=snippet, fixes=suggested)


async def fixed(found: Finding, tmp_path: Path, *tried: Patch) -> Patch | Declined:
    history = [Attempt(patch, Verdict(patch_id=patch.id, finding_id=found.id, outcome=Outcome.rejected)) for patch in tried]
    return await SuggestedFixer().fix(found, FakeWorkspace(FILES, tmp_path), history)


def added(patch: Patch | Declined) -> list[str]:
    assert isinstance(patch, Patch), patch
    return [line[1:] for line in patch.diff.splitlines() if line.startswith("+") and not line.startswith("+++")]


class TestSuggestedConformance(FixerConformance):
    files = FILES

    @pytest.fixture
    def component(self) -> SuggestedFixer:
        return SuggestedFixer()

    @pytest.fixture
    def fixable(self) -> Finding:
        return finding((edit("safe_load"),))


async def test_edits_are_made_where_they_belong(tmp_path: Path) -> None:
    patch = await fixed(finding((edit("safe_load"), edit("ü", 1, 1, 2), edit("3", 1, 5, 6, "b.py"))), tmp_path)
    assert added(patch) == ["ü = 1", "yaml.safe_load(x)", "y = 3"]
    assert isinstance(patch, Patch)
    assert patch.title == "Load safely"


async def test_next_fix_is_taken_where_one_fell(tmp_path: Path) -> None:
    found = finding((edit("safe_load"),), (edit("full_load"),))
    first = await fixed(found, tmp_path)
    assert isinstance(first, Patch)
    second = await fixed(found, tmp_path, first)
    assert added(second) == ["yaml.full_load(x)"]
    assert isinstance(second, Patch)
    third = await fixed(found, tmp_path, first, second)
    assert isinstance(third, Declined)
    assert third.reason is ReasonCode.verify_failed


@pytest.mark.parametrize(
    ("edits", "word"),
    [
        ((edit("a", start=1, end=5), edit("b", start=4, end=8)), "overlap"),
        ((edit("a", start=1, end=1), edit("b", start=1, end=1)), "overlap"),
        ((edit("a", line=99),), "not in a.py"),
        ((edit("a", start=6, end=99),), "not in a.py"),
        ((edit("a", start=9, end=6),), "not in a.py"),
        ((edit("a", path="gone.py"),), "cannot be read"),
        ((edit("a", path="../x"),), "cannot be read"),
        ((edit("load"),), "changes nothing"),
        ((edit("lo ad("),), "would not parse"),
        ((edit("\ud800"),), "not in a.py"),
    ],
)
async def test_fix_that_does_not_fit_is_declined(tmp_path: Path, edits: tuple[TextEdit, ...], word: str) -> None:
    declined = await fixed(finding(edits), tmp_path)
    assert isinstance(declined, Declined)
    assert declined.reason is ReasonCode.no_safe_transform
    assert word in declined.detail


async def test_good_fix_after_a_bad_one_is_taken(tmp_path: Path) -> None:
    assert added(await fixed(finding((edit("a", line=99),), (edit("safe_load"),)), tmp_path)) == ["yaml.safe_load(x)"]


async def test_text_that_is_no_longer_there_is_stale(tmp_path: Path) -> None:
    declined = await fixed(finding((edit("safe_load"),), snippet="yaml.load(y)"), tmp_path)
    assert isinstance(declined, Declined)
    assert declined.reason is ReasonCode.stale


async def test_finding_without_a_fix_is_declined(tmp_path: Path) -> None:
    declined = await fixed(finding(), tmp_path)
    assert isinstance(declined, Declined)
    assert declined.reason is ReasonCode.no_safe_transform
