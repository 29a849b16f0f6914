"""JUnit XML: one test case for each finding; what remains by the exit code is a failure, what was not looked at an error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from remediator.cli import case_view
from remediator.cli.exit_code import remains
from remediator.cli.meanings import CODES
from remediator.records.case import Case
from remediator.records.finding import Finding
from remediator.records.scan import ScanReport

# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(cases: Sequence[Case], scan: ScanReport | None, could_not_check: Sequence[str], seconds: float) -> str:
    """Return the report as a JUnit document. Without cases (a scan) every finding is a failure."""
    suite = ET.Element("testsuite", {"name": "remediator", "time": f"{seconds:.3f}", "skipped": "0"})
    seen = {case.finding.id for case in cases}
    for case in case_view.ordered(cases):
        _add_case(suite, case)
    for finding in scan.known if scan else ():
        if finding.id not in seen:
            _failure(_test(suite, finding), finding.severity, finding.message)
    unknown = [*could_not_check, *([] if scan else ["no scan was completed"])]
    unknown += [
        f"{item.path or 'the whole tree'}: {item.reason} ({item.scanner}) {item.detail}".strip()
        for item in (scan.unchecked if scan else ())
    ]
    for index, reason in enumerate(unknown, 1):
        element = ET.SubElement(suite, "testcase", {"name": f"could not check {index}", "classname": "remediator", "time": "0"})
        ET.SubElement(element, "error", {"type": "could-not-check", "message": clean(reason)})
    return _written(suite)


def clean(text: str) -> str:
    """Return the text without what XML cannot hold."""
    return _FORBIDDEN.sub("", text)


def _add_case(suite: ET.Element, case: Case) -> None:
    element = _test(suite, case.finding)
    if case.fixed and case.best:
        told = ET.SubElement(element, "system-out")
        told.text = clean(f"fixed: {case_view.evidence(case.best[1], limit=0)}\nbundle: {case.bundle_digest}\n")
        return
    why = case_view.why_not(case)
    if not remains(case):
        ET.SubElement(element, "system-out").text = clean(f"{why.reason}: {CODES[why.reason].says}\n{why.detail}".strip() + "\n")
        return
    _failure(element, why.reason, f"{case.finding.message}\n{why.detail}".strip())


def _test(suite: ET.Element, finding: Finding) -> ET.Element:
    line = str(finding.location.start_line) if finding.location else "0"
    name = clean(f"{finding.rule_id} at {finding.path or '(no place)'}:{line} [{finding.id}]")
    return ET.SubElement(
        suite,
        "testcase",
        {"name": name, "classname": clean(f"remediator.{finding.scanner}"), "file": clean(finding.path), "line": line, "time": "0"},
    )


def _failure(element: ET.Element, kind: str, message: str) -> None:
    failure = ET.SubElement(element, "failure", {"type": clean(kind), "message": clean(message.splitlines()[0] if message else kind)})
    failure.text = clean(message)


def _written(suite: ET.Element) -> str:
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"
