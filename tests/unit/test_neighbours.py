"""When a patch made for one finding removes its neighbour too, and when the neighbour only looks different afterwards."""

from __future__ import annotations

from remediator.engine.neighbours import removes
from remediator.records.finding import Finding, Location
from remediator.records.scan import ScanReport, Unchecked

DIFF = """\
--- a/web.py
+++ b/web.py
@@ -1,3 +1,4 @@
 import web
-web.run(host="0.0.0.0", debug=True)
+# no debugger
+web.run(host="0.0.0.0", debug=False)
 web.stop()
"""


def at(line: int, snippet: str, rule: str = "bind-all", cwe: tuple[int, ...] = (605,)) -> Finding:
    where = Location(path="web.py", start_line=line, end_line=line, end_column=len(snippet) + 1)
    return Finding.at(rule_id=rule, scanner="s", message="m", location=where, snippet=snippet, cwe=cwe)


def report(*findings: Finding, covered: tuple[str, ...] = ("web.py",), unchecked: tuple[Unchecked, ...] = ()) -> ScanReport:
    return ScanReport(tree="t", findings=findings, covered=covered, unchecked=unchecked)


OLD = at(2, 'web.run(host="0.0.0.0", debug=True)')
BASE = report(OLD, at(2, OLD.snippet, "debug", (489,)))


def test_a_finding_that_is_reported_no_more_is_removed() -> None:
    assert removes(DIFF, OLD, BASE, report())


def test_a_finding_that_has_other_text_around_it_is_still_there() -> None:
    assert not removes(DIFF, OLD, BASE, report(at(3, 'web.run(host="0.0.0.0", debug=False)')))


def test_its_weakness_under_another_rule_is_still_there() -> None:
    assert not removes(DIFF, OLD, BASE, report(at(3, 'web.run(host="0.0.0.0", debug=False)', "bind-all-too")))


def test_the_same_rule_elsewhere_and_another_weakness_at_the_place_are_no_objection() -> None:
    assert removes(DIFF, OLD, BASE, report(at(4, "web.stop()"), at(3, "x", "other", (79,))))


def test_the_same_text_once_less_is_removed_only_where_it_stood() -> None:
    twice = report(OLD, at(3, OLD.snippet))
    assert not removes(DIFF, OLD, twice, twice)


def test_what_was_not_read_is_not_removed() -> None:
    assert not removes(DIFF, OLD, BASE, report(covered=()))
    assert not removes(DIFF, OLD, BASE, report(unchecked=(Unchecked(scanner="s", path="web.py", reason="parse-error"),)))


def test_only_what_came_from_a_report_needs_that_report_anew() -> None:
    static = report(unchecked=(Unchecked(scanner="sarif", path="web.py", reason="cannot-rerun"),))
    assert removes(DIFF, OLD, BASE, static)
    assert not removes(DIFF, OLD.model_copy(update={"scanner": "sarif"}), BASE, static)
