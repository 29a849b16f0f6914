"""Every transform does what its cases say, once, and leaves all else as it was."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from remediator.builtin.codemods.catalog import TRANSFORMS
from remediator.builtin.codemods.propose import Answer, Question, Region, propose
from remediator.builtin.codemods.transform import Transform

DATA = Path(__file__).parents[1] / "data" / "codemods"
BY_NAME = {transform.name: transform for transform in TRANSFORMS}


class Case(NamedTuple):
    transform: str
    title: str
    keys: dict[str, str]
    project: dict[str, bytes]
    before: str
    outcome: str
    after: str

    @property
    def path(self) -> str:
        return self.keys.get("path", "pkg/module.py")

    def region(self, text: str) -> Region:
        if "line" in self.keys:
            line = int(self.keys["line"])
            return Region(line, 1, line, 1)
        start = text.index(self.keys["at"])
        return Region(*position(text, start), *position(text, start + len(self.keys["at"])))

    def question(self, data: bytes, region: Region) -> Question:
        cwe = tuple(int(number) for number in self.keys["cwe"].split())
        return Question(self.path, data, region, cwe, "", self.project)


def position(text: str, offset: int) -> tuple[int, int]:
    head = re.split(r"\r\n?|\n", text[:offset])
    return len(head), len(head[-1]) + 1


def read_cases() -> list[Case]:
    return [case for file in sorted(DATA.glob("*.case")) for case in cases_of(file)]


def cases_of(file: Path) -> list[Case]:
    found = []
    for block in re.split(r"^== ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        head, _, rest = block.partition("\n-- before\n")
        title, *lines = head.splitlines()
        keys = dict(line.split(": ", 1) for line in lines)
        project = {key[5:]: value.replace("\\n", "\n").encode() for key, value in keys.items() if key.startswith("file ")}
        match = re.search(r"^-- (after|unknown|declines .*)\n?", rest, flags=re.MULTILINE)
        assert match, f"{file.name}: {title}"
        found.append(Case(file.stem, title, keys, project, rest[: match.start()], match.group(1), rest[match.end() :]))
    return found


CASES = read_cases()
FIXED = [case for case in CASES if case.outcome == "after"]
REFUSED = [case for case in CASES if case.outcome != "after"]


def ask(case: Case, transforms: tuple[Transform, ...], text: str) -> Answer:
    return propose(case.question(text.encode(), case.region(text)), transforms)


def name_of(case: Case) -> str:
    return f"{case.transform}: {case.title}"


@pytest.mark.parametrize("case", FIXED, ids=name_of)
def test_flaw_is_fixed_as_the_case_says(case: Case) -> None:
    answer = ask(case, (BY_NAME[case.transform],), case.before)

    assert answer.changes, answer.refusal
    assert answer.changes[0].data.decode() == case.after
    assert answer.changes[0].transform == case.transform
    assert answer.changes[0].behaviour


@pytest.mark.parametrize("case", REFUSED, ids=name_of)
def test_uncertain_code_is_left_alone(case: Case) -> None:
    answer = ask(case, (BY_NAME[case.transform],), case.before)

    assert answer.changes == ()
    reason, _, words = case.outcome.removeprefix("declines ").partition(" ")
    if reason == "unknown":
        assert answer.refusal.detail.startswith("none of the transforms"), answer.refusal
    else:
        assert (answer.refusal.reason.value, words in answer.refusal.detail) == (reason, True), answer.refusal


@pytest.mark.parametrize("case", FIXED, ids=name_of)
def test_whole_catalog_gives_the_same_first_answer(case: Case) -> None:
    answer = ask(case, TRANSFORMS, case.before)

    assert answer.changes
    assert answer.changes[0].transform == case.transform


@pytest.mark.parametrize("case", FIXED, ids=name_of)
def test_fixed_code_is_not_fixed_again(case: Case) -> None:
    transform = BY_NAME[case.transform]
    lines = case.after.count("\n") + 1
    again = propose(case.question(case.after.encode(), Region(1, 1, lines, 1)), (transform,))

    assert [change.data.decode() for change in again.changes if change.data.decode() == case.after] == []
    text = case.after
    for _ in range(6):
        answer = propose(case.question(text.encode(), Region(1, 1, text.count("\n") + 1, 1)), (transform,))
        if not answer.changes:
            break
        text = answer.changes[0].data.decode()
    else:
        pytest.fail("it never comes to an end")


def test_every_transform_has_cases() -> None:
    assert {case.transform for case in CASES} == set(BY_NAME)


def test_at_least_twenty_transforms_change_something() -> None:
    assert len({case.transform for case in FIXED}) >= 20
