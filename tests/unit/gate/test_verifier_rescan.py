"""E2: gone, and nothing new."""

from __future__ import annotations

import pytest

from remediator.builtin.rescan_verifier import RescanVerifier
from remediator.errors import ScanError
from remediator.records import CheckStatus, Finding, Location, ScanReport, Unchecked
from remediator.testing.fake_workspace import FakeWorkspace

BEFORE = "import yaml\n\n\ndef f(a):\n    return yaml.load(a)\n\n\ndef g(b):\n    return yaml.load(b)\n"
AFTER = BEFORE.replace("yaml.load(a)", "yaml.safe_load(a)")
DIFF = "--- a/x.py\n+++ b/x.py\n@@ -4,2 +4,2 @@\n def f(a):\n-    return yaml.load(a)\n+    return yaml.safe_load(a)\n"
SCANNERS = {"s": "1"}


def at(
    line: int, snippet: str, *, rule: str = "yaml-load", path: str = "x.py", cwe: tuple[int, ...] = (502,), ordinal: int = 0, end: int = 0
) -> Finding:
    where = Location(path=path, start_line=line, start_column=1, end_line=end or line, end_column=9)
    return Finding.at(rule_id=rule, scanner="s", message="m", location=where, snippet=snippet, cwe=cwe, ordinal=ordinal)


FLAW, OTHER = at(5, "yaml.load(a)"), at(9, "yaml.load(b)")


class Case:
    def __init__(self, tmp_path, patch_of) -> None:
        self._tmp, self._patch_of = tmp_path, patch_of

    async def __call__(
        self,
        now=(OTHER,),
        *,
        found=(FLAW, OTHER),
        finding=FLAW,
        diff=DIFF,
        files=None,
        after=None,
        covered=("x.py",),
        base_scanners=SCANNERS,
        **report,
    ):
        workspace = FakeWorkspace(files or {"x.py": BEFORE, "y.py": "z\n"}, self._tmp, tree=after or {"x.py": AFTER, "y.py": "z\n"})
        workspace._found = ScanReport(tree=workspace.base.id, findings=tuple(found), covered=("x.py", "y.py"), scanners=base_scanners)
        fields = {"tree": workspace.tree.id, "findings": tuple(now), "covered": covered, "scanners": SCANNERS, **report}
        workspace._found_now = ScanReport(**fields)
        return await RescanVerifier().verify(finding, self._patch_of(diff), workspace)


@pytest.fixture
def judged(tmp_path, patch_of) -> Case:
    return Case(tmp_path, patch_of)


async def test_a_finding_that_is_gone_passes(judged) -> None:
    check = await judged()
    assert check.status is CheckStatus.passed, check
    assert [item["line"] for item in check.evidence["gone"]] == [5]


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        ((FLAW, OTHER), "finding-remains"),
        ((at(5, "load(a)"), OTHER), "finding-remains"),
        ((at(5, "load(a)", cwe=()), OTHER), "finding-remains"),
        ((at(5, "yaml.full_load(a)", rule="another-rule"), OTHER), "finding-remains"),
        ((at(5, "x", rule="another-rule", cwe=(78,)), OTHER), "new-finding"),
        ((at(5, "x", rule="another-rule", cwe=(20, 78)), OTHER), "new-finding"),
        ((OTHER, at(12, "yaml.load(a)")), "finding-remains"),
        ((OTHER, at(12, "yaml.load( a )", path="x.py", ordinal=1)), "finding-moved"),
        ((OTHER, at(1, "read(a)", path="y.py")), ""),
        ((OTHER, at(9, "yaml.load(b)", ordinal=1)), "new-finding"),
        ((OTHER, at(2, "eval(q)", rule="eval", cwe=(95,))), "new-finding"),
    ],
)
async def test_what_a_scanner_still_sees_fails(now, reason, judged) -> None:
    check = await judged(now)
    assert check.reason == reason, check
    assert check.status is (CheckStatus.failed if reason else CheckStatus.passed)


async def test_the_flaw_moved_to_a_new_file_is_found(judged) -> None:
    diff = DIFF + "diff --git a/n.py b/n.py\nnew file mode 100644\n--- /dev/null\n+++ b/n.py\n@@ -0,0 +1 @@\n+yaml.load(q)\n"
    after = {"x.py": AFTER, "y.py": "z\n", "n.py": "yaml.load(q)\n"}
    check = await judged((OTHER, at(1, "yaml.load(q)", path="n.py")), diff=diff, after=after, covered=("n.py", "x.py"))
    assert (check.status, check.reason) == (CheckStatus.failed, "finding-moved")


async def test_of_two_equal_findings_the_right_one_must_go(judged) -> None:
    text = BEFORE.replace("(b)", "(a)")
    twins = (at(5, "yaml.load(a)"), at(9, "yaml.load(a)", ordinal=1))
    given = {"files": {"x.py": text}, "after": {"x.py": text.replace("load(a)", "safe_load(a)", 1)}, "found": twins}
    right = await judged((at(9, "yaml.load(a)"),), finding=twins[0], **given)
    wrong = await judged((at(9, "yaml.load(a)"),), finding=twins[1], **given)
    assert (right.status, wrong.status, wrong.reason) == (CheckStatus.passed, CheckStatus.failed, "finding-remains")


async def test_another_finding_on_the_changed_line_is_not_new(judged) -> None:
    on_line = at(5, "return yaml.load(a)", rule="no-limit", cwe=(400,))
    still = at(5, "return yaml.safe_load(a)", rule="no-limit", cwe=(400,))
    check = await judged((still, OTHER), found=(FLAW, on_line, OTHER))
    assert check.status is CheckStatus.passed, check
    assert [item["rule"] for item in check.evidence["altered"]] == ["no-limit"]
    doubled = await judged((still, at(5, "safe_load(a)", rule="no-limit", cwe=(400,)), OTHER), found=(FLAW, on_line, OTHER))
    assert doubled.reason == "new-finding"


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        ({"unchecked": (Unchecked(scanner="s", path="x.py", reason="parse-error"),)}, "incomplete-scan"),
        ({"unchecked": (Unchecked(scanner="s", path="", reason="scanner-error"),)}, "incomplete-scan"),
        ({"covered": ()}, "incomplete-scan"),
        ({"scanners": {"s": "2"}}, "scanners-differ"),
        ({"scanners": {}}, "scanners-differ"),
        ({"scanners": {"s": "1", "t": "1"}}, "scanners-differ"),
        ({"tree": "0" * 40}, "wrong-tree"),
    ],
)
async def test_not_complete_is_never_clean(report, reason, judged) -> None:
    check = await judged(**report)
    assert (check.status, check.reason) == (CheckStatus.inconclusive, reason)


IMPORTED = FLAW.model_copy(update={"id": "f-imported", "key": "imported", "scanner": "sarif", "rule_id": "R1"})
STATIC = Unchecked(scanner="sarif", path="x.py", reason="cannot-rerun")


async def test_a_report_that_cannot_be_made_anew_is_no_doubt_about_what_others_found(judged) -> None:
    check = await judged(found=(FLAW, OTHER, IMPORTED), unchecked=(STATIC,))
    assert (check.status, [item["scanner"] for item in check.evidence["gone"]]) == (CheckStatus.passed, ["s"])
    broken = Unchecked(scanner="t", path="x.py", reason="scanner-error")
    assert (await judged(unchecked=(STATIC, broken))).reason == "incomplete-scan"


async def test_what_only_a_report_told_of_is_shown_gone_by_a_scanner_that_saw_it_too(judged) -> None:
    alone = await judged((OTHER,), finding=IMPORTED, found=(OTHER, IMPORTED), unchecked=(STATIC,))
    assert (alone.status, alone.reason) == (CheckStatus.inconclusive, "incomplete-scan")
    other_weakness = FLAW.model_copy(update={"cwe": (20, 78)})
    assert (await judged(finding=IMPORTED, found=(other_weakness, OTHER, IMPORTED), unchecked=(STATIC,))).reason == "incomplete-scan"
    assert (await judged(finding=IMPORTED, found=(FLAW, OTHER, IMPORTED), unchecked=(STATIC,))).status is CheckStatus.passed
    wide = at(4, "def f(a): return yaml.load(a)", end=5)
    left = at(4, "def f(a): return yaml.safe_load(a)")
    altered = await judged((left, OTHER), finding=IMPORTED, found=(wide, OTHER, IMPORTED), unchecked=(STATIC,))
    assert altered.status is not CheckStatus.passed


async def test_what_is_seen_in_an_incomplete_scan_is_there(judged) -> None:
    check = await judged((FLAW, OTHER), unchecked=(Unchecked(scanner="s", path="", reason="timeout"),))
    assert (check.status, check.reason) == (CheckStatus.failed, "finding-remains")


async def test_a_file_that_stayed_keeps_its_finding(judged) -> None:
    flaw = at(1, "z", path="y.py")
    check = await judged(finding=flaw, found=(flaw, FLAW, OTHER))
    assert (check.status, check.reason) == (CheckStatus.failed, "finding-remains")


async def test_a_finding_that_the_base_scan_does_not_show_cannot_be_shown_gone(judged) -> None:
    check = await judged(finding=at(5, "q", rule="elsewhere"))
    assert (check.status, check.reason) == (CheckStatus.inconclusive, "finding-not-in-base")


async def test_a_finding_in_words_passes_on_nothing_new_only_and_says_so(judged) -> None:
    words = Finding.at(rule_id="CVE-1", scanner="advisory", message="bad", location=None, snippet="")
    check = await judged((FLAW, OTHER), finding=words)
    assert (check.status, check.evidence["shown"]) == (CheckStatus.passed, False)
    assert check.summary == "no scanner sees this flaw; nothing new appeared"
    worse = await judged((FLAW, OTHER, at(2, "eval(q)", rule="eval")), finding=words)
    assert worse.reason == "new-finding"


async def test_a_finding_of_a_scanner_that_does_not_run_is_unseen(judged) -> None:
    foreign = FLAW.model_copy(update={"scanner": "other"})
    check = await judged((OTHER,), finding=foreign)
    assert (check.status, check.evidence["shown"]) == (CheckStatus.passed, False)
    same_place = await judged((FLAW, OTHER), finding=foreign)
    assert same_place.reason == "finding-remains"
    assert "shown" not in (await judged((OTHER,))).evidence


async def test_a_finding_that_the_base_scan_lacks_is_not_made_good_by_handing_it_in(judged) -> None:
    check = await judged((OTHER,), found=(OTHER,))
    assert (check.status, check.reason) == (CheckStatus.inconclusive, "finding-not-in-base")


async def test_an_unseen_flaw_in_files_that_nobody_reads_carries_a_warning(judged) -> None:
    words = Finding.at(rule_id="CVE-1", scanner="advisory", message="bad", location=None, snippet="")
    diff = "--- a/p.html\n+++ b/p.html\n@@ -1 +1 @@\n-a\n+b\n"
    check = await judged((), finding=words, diff=diff, files={"p.html": "a\n"}, after={"p.html": "b\n"}, covered=())
    assert check.status is CheckStatus.passed
    assert check.evidence["warning"] == "no scanner reads any of the changed files"


async def test_without_a_scanner_nothing_was_run(judged) -> None:
    check = await judged(base_scanners={})
    assert (check.status, check.reason) == (CheckStatus.not_run, "no-scanner")


async def test_a_scanner_that_cannot_start_is_no_pass(tmp_path, patch_of) -> None:
    workspace = FakeWorkspace({"x.py": BEFORE}, tmp_path, tree={"x.py": AFTER}, found=ScanReport(tree="", scanners=SCANNERS))

    async def rescan() -> ScanReport:
        raise ScanError("gone")

    workspace.rescan = rescan  # type: ignore[method-assign]
    check = await RescanVerifier().verify(FLAW, patch_of(DIFF), workspace)
    assert (check.status, check.reason) == (CheckStatus.inconclusive, "incomplete-scan")
