"""Whatever is changed, the rest of the file stays as it was, byte for byte, and changes can follow each other."""

from __future__ import annotations

import importlib.util
import io
import re
import sys
import tokenize
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediator.builtin.codemods.catalog import TRANSFORMS
from remediator.builtin.codemods.propose import Question, Region, propose


def _cases() -> ModuleType:
    spec = importlib.util.spec_from_file_location("codemod_cases", Path(__file__).with_name("test_codemod_cases.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


cases = _cases()
BY_NAME = {transform.name: transform for transform in TRANSFORMS}


def changed(case: cases.Case, data: bytes, region: Region) -> bytes:
    answer = propose(case.question(data, region), (BY_NAME[case.transform],))
    assert answer.changes, answer.refusal
    return answer.changes[0].data


def first_of_each() -> list[cases.Case]:
    return list({case.transform: case for case in reversed(cases.FIXED)}.values())


@pytest.mark.parametrize("case", cases.FIXED, ids=cases.name_of)
def test_line_breaks_of_windows_survive(case: cases.Case) -> None:
    before, after = (text.replace("\n", "\r\n") for text in (case.before, case.after))

    assert changed(case, before.encode(), case.region(before)).decode() == after


@pytest.mark.parametrize("case", first_of_each(), ids=cases.name_of)
def test_byte_order_mark_survives(case: cases.Case) -> None:
    assert changed(case, b"\xef\xbb\xbf" + case.before.encode(), case.region(case.before)) == b"\xef\xbb\xbf" + case.after.encode()


@pytest.mark.parametrize("case", cases.FIXED, ids=cases.name_of)
def test_missing_last_line_break_stays_missing(case: cases.Case) -> None:
    assert changed(case, case.before.rstrip("\n").encode(), case.region(case.before)).decode() == case.after.rstrip("\n")


@pytest.mark.parametrize("case", first_of_each(), ids=cases.name_of)
def test_head_of_the_file_stays_first(case: cases.Case) -> None:
    head = "#!/usr/bin/env python\n# -*- coding: utf-8 -*-\n# Copyright: Ænne\n\n"
    result = changed(case, (head + case.before).encode(), case.region(head + case.before)).decode()

    assert result.startswith(head)
    compile(result, "a.py", "exec")


@pytest.mark.parametrize("case", first_of_each(), ids=cases.name_of)
def test_old_encoding_is_kept(case: cases.Case) -> None:
    head = "# -*- coding: latin-1 -*-\n# Ænne\n"
    data = (head + case.before).encode("latin-1")

    result = changed(case, data, case.region(head + case.before))

    assert result.startswith(head.encode("latin-1"))


@pytest.mark.parametrize("case", first_of_each(), ids=cases.name_of)
def test_code_deeper_in_a_block_of_tabs_is_changed_in_place(case: cases.Case) -> None:
    if "assert" in case.transform or "settings" in case.transform or "__future__" in case.before:
        pytest.skip("it depends on the depth")
    text = "try:\n" + "".join(f"\t{line}\n" if line else "\n" for line in case.before.split("\n")) + "finally:\n\tpass\n"
    line = case.region(text)

    answer = propose(case.question(text.encode(), line), (BY_NAME[case.transform],))

    for change in answer.changes:
        compile(change.data, "a.py", "exec")


# In the middle of a file they are no Python.
FUTURE = re.compile(r"^from __future__ import .*$", re.MULTILINE)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    chosen=st.lists(st.sampled_from(cases.FIXED), min_size=2, max_size=4, unique_by=cases.name_of), order=st.randoms(use_true_random=False)
)
def test_changes_follow_each_other_and_never_corrupt(chosen: list[cases.Case], order: object) -> None:
    text = "".join(f"# part {number}\n{FUTURE.sub('', case.before)}" for number, case in enumerate(chosen))
    text = text.replace("\n# part", "\n\n# part")
    remaining = list(chosen)
    order.shuffle(remaining)  # type: ignore[attr-defined]
    for case in remaining:
        text = after_all_of(case, text)


def after_all_of(case: cases.Case, text: str) -> str:
    project = {"setup.cfg": b"[options]\npython_requires = >=3.9\n"}
    question = Question(
        case.path, text.encode(), Region(1, 1, text.count("\n") + 1, 1000), case.question(b"", Region(1, 1, 1, 1)).cwe, "", project
    )
    answer = propose(question, TRANSFORMS)
    for change in answer.changes:
        result = change.data.decode()
        compile(result, "a.py", "exec")
        assert comments(text) - comments(result) == Counter(), change.transform
        assert result != text
    return answer.changes[0].data.decode() if answer.changes else text


def comments(text: str) -> Counter[str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return Counter(token.string for token in tokens if token.type == tokenize.COMMENT)
