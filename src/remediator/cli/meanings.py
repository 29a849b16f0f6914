"""What every code that remediator prints means, and what to do about it. docs/reference is tested against this."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from remediator.cli.clearinghouse_meanings import REFUSALS, VALIDATIONS


class Meaning(NamedTuple):
    """One code. `kind` is a topic's; `unblock` is the cheapest way on, with CASE for a case's id."""

    kind: str
    says: str
    unblock: str = ""


_REASONS = {
    "fixed": ("A patch is proven to the required level.", "remediator apply CASE"),
    "needs-model": (
        "No deterministic fixer knows this pattern.",
        "add a fixer that does: a plugin, a codemod, or one with a language model (`remediator plugin new NAME --kind fixer`)",
    ),
    "no-safe-transform": (
        "A transform exists, but is not certain to be right here; its detail says what it could not rule out.",
        "make the code plainer where the detail points, or fix it by hand and grade that: remediator verify PATCH --finding …",
    ),
    "blocked-by-parent": ("Another dependency holds the vulnerable one back.", "upgrade the one that the detail names first"),
    "no-upstream-fix": ("No released version of the dependency is free of the flaw.", "replace or isolate the dependency; run again later"),
    "ambiguous-intent": (
        "The code does not say what is meant to be allowed, so no fix can be shown to be right.",
        "decide, fix it by hand, and grade that: remediator verify PATCH --finding …",
    ),
    "needs-design": (
        "The flaw is in how parts work together; a local edit would hide it.",
        "a person has to redesign it; the detail says where",
    ),
    "verify-failed": (
        "Patches were proposed and every one was rejected by a check; `tried` names the check.",
        "remediator show CASE tells what failed; a patch of your own can be graded by remediator verify",
    ),
    "below-required": (
        "What could be checked holds, but the required evidence level was not reached.",
        "give the project what the missing check needs (tests, a recipe, a sandbox), or accept less: remediator fix --require LEVEL",
    ),
    "budget": ("A cap on attempts, money or time was reached.", "raise the playbook's limits, or: remediator fix --minutes N"),
    "duplicate": ("Another case's fix removes this finding too.", "nothing: it is gone with the other fix"),
    "leased-elsewhere": ("Somebody else holds the lease for this work.", "wait until the lease ends"),
    "waived": ("The operator accepted this finding, with a reason.", "remove the waiver"),
    "embargoed": ("Nothing about this finding may leave before a set date.", "wait for the date"),
    "stale": ("The code changed since the finding was reported.", "remediator fix again on the present commit"),
    "out-of-scope": (
        "No fixer of this playbook works on this kind of file, or the finding names no place.",
        "use a playbook with a fixer for it",
    ),
    "could-not-check": (
        "Something that is needed to judge broke or is missing; nothing is known about the fix, good or bad.",
        "remediator doctor, mend what it names, then remediator fix again",
    ),
}
_EXITS = {
    "0": ("Nothing is left at the gate, and everything was looked at.", ""),
    "1": ("Findings remain without a proven fix.", "remediator list; remediator why CASE"),
    "2": (
        (
            "The command line, the settings, a playbook or a plugin is wrong, or the state folder is full or cannot be used; "
            "a run that had begun can be resumed."
        ),
        "the message's hint says what to mend",
    ),
    "3": (
        (
            "Something could not be checked, or could not be handed over yet: a scanner, a file, the sandbox, a clearinghouse that does "
            "not answer. Not the same as clean."
        ),
        "remediator doctor; where a clearinghouse does not answer: the same command later",
    ),
    "4": ("A service refused our credentials.", "check the key that the message names"),
    "5": ("A cap on money or time was reached; what was done is kept.", "raise the playbook's limits, or: remediator fix --minutes N"),
    "6": ("Verification failed: the patch was rejected, or a replay came to other evidence.", "the failed check says why"),
    "7": (
        (
            "Conflict: the patch does not apply exactly, or is not one that may be applied; or a clearinghouse's state forbids it, as "
            "where another holds the lease."
        ),
        "update the tree or the patch; else the message says what stands in the way",
    ),
    "8": ("Integrity: a bundle is damaged, tampered with, or signed by nobody we trust.", "do not use it; get it again from its source"),
    "70": ("A bug in remediator. A report was written; its path was printed.", "send the report"),
    "130": ("Interrupted. Finished steps are kept.", "the printed `remediator fix --resume …`"),
    "141": ("Whoever read the output stopped reading.", ""),
}
_LEVELS = {
    "E0": ("applies: the diff applies exactly to the base commit and touches only what a patch may touch.", ""),
    "E1": ("builds: the patched tree prepares, builds and imports or compiles as the base did.", ""),
    "E2": (
        "rescanned: the same scanner and rules report the finding no longer, and nothing new; of a flaw that none sees, only the latter.",
        "",
    ),
    "E3": ("tested: no test that passed before fails now, at least one ran, and none vanished.", ""),
    "E4": ("reproduced: a reproducer is red on the base and green on the patch.", ""),
    "E5": ("attacked: variants of the reproducer stay green, and an independent replay gives the same evidence.", ""),
}
_CHECKS = {
    "form-dependent": "The reproducer is red when the same patch is laid out otherwise: it sees the text and not what the program does.",
    "marker-only": "The reproducer is green on a base that only wears the patch's text and names, where the flaw is still there.",
    "needs-replay": "E5 stays open until an independent replay of the bundle agrees.",
    "no-answer": "The reviewing model did not answer in the form that was asked for.",
    "no-controls": "No benign use beside the flaw is known, so nothing shows that it still works.",
    "no-model": "No model of that name is in the settings, or none was chosen to review.",
    "no-reproducer": "Nothing shows the flaw: no model was asked for a test and none was supplied.",
    "no-variants": "No other shape of the flaw is known.",
    "not-reproduced": "A reproducer was made or supplied, and does not show the flaw on the unpatched tree.",
    "objection-open": "The reviewer's test fails on base and patch alike, so whether it has to pass is not known.",
    "objection-unclear": "The reviewer's test gives no clear answer on the patched tree.",
    "objection-unusable": "The reviewer's test cannot be run or believed.",
    "objection-upheld": "The reviewer's test passes on the base and fails on the patch.",
    "special-cased-input": "The patch compares with a whole input of the reproducer that the file did not know before.",
    "still-vulnerable": "The reproducer is red on the patch in every run.",
    "too-many-hunks": "The patch has more hunks than can be taken back one by one.",
    "twin-unclear": "No twin of the base or the patch gave a clear answer, so whether the reproducer sees behaviour or text is not known.",
    "unneeded-hunk": "Without one of its hunks nothing turns red again: the patch may do more than it must.",
    "absolute-path": "The patch names a file by an absolute path.",
    "baseline-broken": "The base itself does not build in the same way, so nothing can be compared.",
    "baseline-incomplete": "A test run of the base did not come to its end, so nothing can be compared.",
    "changed-lines-not-run": "The patch adds statements, and no test runs any of them.",
    "baseline-once": "The base was tested once only, so flaky tests are not known.",
    "binary": "The patch holds binary content, which nobody can review.",
    "build-failed": "The patched tree no longer builds.",
    "build-script": "The patch edits a build script, which would run with the build's rights.",
    "build-step-failed": "A step of the build ended with an error.",
    "build-unfinished": "The build did not end by itself, so nothing can be said.",
    "canary-flipped": "A test of ours that must fail passed (or the other way round): the project forges results.",
    "canary-missing": "A test of ours did not run: the project deselects or swallows tests.",
    "ci-edit": "The patch edits CI files.",
    "config-edit": "The patch edits settings of test runners, scanners or other tools that judge it.",
    "constant-special-casing": "The code treats one literal input apart; told to people, fails nothing by itself.",
    "contradiction": "One test was told to have ended in two ways: the results are not to be trusted.",
    "dependency-manifest": "The patch edits what says which dependencies are installed.",
    "disguised-call": "The dangerous call is still made, by another way that scanners do not see.",
    "same-weakness": "What comes in place of the flaw is weak in the same way.",
    "does-not-apply": "The patch does not apply exactly to the base commit.",
    "empty-patch": "The patch changes nothing.",
    "feature-deleted": "A public name, or what a function did, is gone: deleting a feature is no fix.",
    "finding-moved": "The same flaw is reported elsewhere on the patched tree.",
    "finding-not-in-base": "The base scan does not report the finding, so its absence afterwards shows nothing.",
    "finding-remains": "The scanner still reports the finding.",
    "flaky": "A test failed once and passed once: nothing can be said.",
    "forged-outcome": "A test that raised an error was told as passed: something in the project changes results.",
    "generated-edit": "The patch edits vendored or generated files, which are to be mended at their origin.",
    "git-internals": "The patch touches what belongs to git.",
    "hidden-characters": "The patch holds characters that people cannot see, or that look like others.",
    "hidden-path": "The patch edits hidden files, which are settings of some tool.",
    "image-differs": "The tests ran on another image than the baseline's.",
    "incomplete-scan": "A changed file could not be scanned to the end, so nothing says that the finding is gone.",
    "lost": "The sandbox went away while the tests ran; nothing can be said.",
    "malformed-patch": "The patch is not a well-formed unified diff.",
    "mode-change": "The patch changes a file's mode.",
    "modules-broken": "A module that could be imported on the base cannot be on the patched tree.",
    "never-started": "The test run ended before a test was started.",
    "new-capability": "The patch makes code do something that it did not need before: run programs or code, open connections.",
    "new-dependency": "The patch imports what the project neither has nor declares.",
    "new-executable": "The patch adds an executable file.",
    "new-file": "The patch adds a file; told to people, fails nothing by itself.",
    "new-finding": "The scanner reports something on the patched tree that it did not report on the base.",
    "no-code-change": "Only comments and layout change.",
    "no-finish": "The test run ended without its closing record, so its results are not whole.",
    "no-op": "The patch changes white space only.",
    "no-passing-tests": "No test of the project passes on the base, so none can show a regression.",
    "no-recipe": "No way was found to prepare and build the project, so nothing could be run.",
    "no-sandbox": "There is no sandbox, and code of a target never runs outside one.",
    "no-scanner": "No scanner is in the playbook.",
    "no-tests": "The project has no test that can be run: this is never a pass.",
    "not-exact": "Applied by a second, independent reader, the patch gives another result than git's.",
    "not-run": "The check did not run.",
    "nothing-imports": "No module of the project can be imported.",
    "observer-lost": "What watches the test run was disturbed, so its results are not to be trusted.",
    "odd-path": "A file name in the patch is not one that means the same everywhere.",
    "oom": "It used more memory than it may; nothing can be said.",
    "not-shown": "No scanner sees this flaw and no reproducer shows that it is gone: all else holds, and E4 is needed.",
    "opaque-content": "The patch holds text that people cannot read, such as a long coded literal.",
    "parent-path": "The patch leaves the tree.",
    "other-file": "The patch changes a file that the finding does not speak of; told to people, fails nothing by itself.",
    "paths-differ": "The patch changes other files than it says.",
    "rename": "The patch renames or copies a file.",
    "run-incomplete": "The test run is not whole.",
    "runner-differs": "The tests ran under another runner than the baseline's.",
    "sandbox-error": "The sandbox could not do what it was asked for; nothing can be said.",
    "sandbox-lost": "The sandbox went away in the middle; nothing can be said.",
    "scanners-differ": "The patched tree was not scanned by the same scanner, version and rules as the base.",
    "shadowed": "A test tool was loaded from the project instead of from where it was installed.",
    "signature-changed": "A public function can no longer be called as before.",
    "startup-hook": "The patch touches a file that the interpreter runs by itself.",
    "stranger": "Somebody else talked to what watches the tests: the results are not to be trusted.",
    "submodule": "The patch touches a submodule.",
    "suppression-added": "The patch tells a scanner or checker to look away.",
    "swallow-all": "The patch hides errors instead of mending their cause.",
    "symlink": "The patch makes or changes a symbolic link.",
    "syntax-error": "A touched file no longer parses in its own language.",
    "test-aware": "Product code looks at whether it is being tested.",
    "test-edit": "The patch edits tests, their data or their set-up: what it is judged by.",
    "tests-regressed": "A test that passed on the base fails on the patched tree.",
    "tests-skipped": "A test that passed on the base is skipped on the patched tree.",
    "tests-vanished": "A test that passed on the base no longer exists on the patched tree.",
    "tests-xfailed": "A test that passed on the base is marked as expected to fail on the patched tree.",
    "timeout": "It took longer than it may; nothing can be said about what is missing.",
    "too-large": (
        "The patch changes more files or lines than a reviewable fix does, or a file is too large to be scanned; "
        "from a clearinghouse: the request is too large."
    ),
    "truncated": "It printed more than it may and was cut off; nothing in it counts as a pass.",
    "unfinished": "A test began and never came to its end.",
    "unreadable-source": "No guard could read a changed file, so nothing speaks for it.",
    "verifier-crashed": "A verifier has a bug; its check counts as not passed.",
    "verifier-error": "A verifier could not do its work; its check counts as not passed.",
    "control-broken": "A benign use beside the flaw that worked before does not.",
    "garbled": "What watches the test run heard what no honest runner says, so its results are not to be trusted.",
    "in-doubt": "A run of the reproducer is not whole or not to be trusted, so what it shows is not known.",
    "miscounted": "The test run told another number of results than arrived: somebody else spoke in between.",
    "no-main-test": "Every test of the reproducer is a variant or a control; one has to show the flaw itself.",
    "not-honest": "The reproducer looks at the program's text, skips, or fails whatever the program does.",
    "not-reached": "No line of the product ran while the reproducer did.",
    "not-red": "The reproducer passes on the unpatched tree, so it does not show the flaw.",
    "not-replayed": "A replay cannot measure this answer, a model's or its own; it is taken over as recorded.",
    "nothing-expected": "The playbook names no check, so nothing is proven.",
    "reads-source": "The reproducer opened a source file while it ran: it may judge the text instead of what it does.",
    "variant-unclear": "With an input changed by rule the reproducer is red on the patch; the change may also have changed what is right.",
    "variant-vulnerable": "The flaw is still there in a shape that was written down.",
    "wrong-level": "A verifier answered for another level than it was asked for, so its pass proves nothing.",
    "wrong-reason": "The reproducer ends with another exception than an assertion about the flaw.",
    "wrong-tree": "A scan report is about another tree.",
}
_SCANS = {
    "cannot-rerun": "What brought the finding is a report made before; it says nothing of a patched tree.",
    "link": "A symbolic link; never followed.",
    "parse-error": "The file does not parse, so scanners see only parts of it.",
    "scanner-error": "The scanner failed; nothing it did not report is known to be clean.",
    "unreadable": "The file could not be read as text.",
}


def _made() -> dict[str, Meaning]:
    found = {code: Meaning("reason", says, unblock) for code, (says, unblock) in _REASONS.items()}
    found |= {code: Meaning("exit", says, unblock) for code, (says, unblock) in _EXITS.items()}
    found |= {code: Meaning("level", says, unblock) for code, (says, unblock) in _LEVELS.items()}
    found |= {code: Meaning("scan", says) for code, says in _SCANS.items()}
    found |= {code: Meaning("check", says) for code, says in _CHECKS.items()}
    found |= {code: Meaning("validation", says, unblock) for code, (says, unblock) in VALIDATIONS.items()}
    found |= {code: Meaning("refusal", says, unblock) for code, (says, unblock) in REFUSALS.items()}
    return found


CODES: Mapping[str, Meaning] = MappingProxyType(_made())
"""Every code by name."""

TOPICS: Mapping[str, str] = MappingProxyType(
    {
        "reason-codes": "reason",
        "exit-codes": "exit",
        "levels": "level",
        "check-reasons": "check",
        "scan-reasons": "scan",
        "validation-reasons": "validation",
        "refusals": "refusal",
    }
)
"""The lists that `explain` can print, and the kind of code in each."""
