"""Every rule finds its vulnerable examples and leaves the safe ones alone, with real semgrep."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from remediator_semgrep import semgrep_scanner
from remediator_semgrep.rule_set import RuleSet
from remediator_semgrep.semgrep_scanner import SemgrepScanner

from remediator.records import Covered, Finding, Severity, Unchecked
from remediator.testing import FakeWorkspace

RULES = Path(semgrep_scanner.__file__).parent / "rules" / "python"
MARK = re.compile(r"\s*# (ruleid|ok): (\S+)$")


def rules() -> list[dict[str, object]]:
    return [rule for path in sorted(RULES.glob("*.yaml")) for rule in yaml.safe_load(path.read_text())["rules"]]


def marks() -> Iterator[tuple[str, tuple[str, str, int]]]:
    for path in sorted((RULES / "tests").glob("*.py")):
        for number, line in enumerate(path.read_text().split("\n"), start=1):
            if match := MARK.match(line):
                yield match[1], (match[2], path.name, number + 1)


async def test_rules_find_exactly_what_is_marked(tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in (RULES / "tests").glob("*.py")}
    items = [item async for item in SemgrepScanner().scan(FakeWorkspace(files, tmp_path))]
    assert [item for item in items if isinstance(item, Unchecked)] == []
    covered = {path for item in items if isinstance(item, Covered) for path in item.paths}
    assert covered == set(files)
    found = {(i.rule_id, i.path, i.location.start_line) for i in items if isinstance(i, Finding) and i.location}
    wanted = {place for kind, place in marks() if kind == "ruleid"}
    spared = {place for kind, place in marks() if kind == "ok"}
    home = {str(rule["id"]).replace("-", "_") + ".py": rule["id"] for rule in rules()}
    assert sorted(wanted - found) == []
    # In its own example file a rule may find nothing but what is marked; elsewhere, nothing that is marked as safe.
    assert sorted(place for place in found - wanted if place in spared or home.get(place[1]) == place[0]) == []


def test_every_rule_has_a_vulnerable_and_a_safe_example() -> None:
    ids = {rule["id"] for rule in rules()}
    assert ids == {place[0] for kind, place in marks() if kind == "ruleid"}
    assert ids == {place[0] for kind, place in marks() if kind == "ok"}


def test_pack_is_wide_enough() -> None:
    weaknesses = {cwe for rule in rules() for cwe in rule["metadata"]["cwe"]}  # type: ignore[index]
    assert len(rules()) >= 40
    assert len(weaknesses) >= 20


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["id"]))
def test_rule_says_what_a_finding_needs(rule: dict[str, object]) -> None:
    metadata = rule["metadata"]
    assert isinstance(metadata, dict)
    assert all(re.fullmatch(r"CWE-\d+", cwe) for cwe in metadata["cwe"])
    assert metadata["severity"] in set(Severity)
    assert metadata["confidence"] in ("high", "medium", "low")
    assert metadata["name"]
    assert str(rule["message"]).strip().endswith(".")


def test_builtin_pack_loads_with_unique_ids() -> None:
    pack = RuleSet.load(("builtin:python",))
    assert len(pack.ids) == len(set(pack.ids)) == len(rules())
    assert pack.languages == {"python"}
