"""Guards for text in any language: suppressions, opaque content, commented-out code, and the plainest ways to switch code off."""

from __future__ import annotations

import ast
import doctest
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from remediator.builtin.guards.file_pair import FilePair
from remediator.diff.change import Hunk, Line
from remediator.diff.objection import Objection

_SUPPRESSION = re.compile(
    r"(?<![a-z0-9])(?:"
    r"no[\s_-]?sec(?:urity)?(?=[:\s,]|$)|no[\s_-]?sem(?:grep)?\b|no[\s_-]?qa\b|no[\s_-]?lint\w*|nosonar|noinspection|nocover|no[\s_-]?pragma"
    r"|type:\s*ignore|pylint:\s*(?:disable|skip)|pragma:?\s*no[\s_-]?(?:cover|branch)|pragma:\s*(?:allowlist|whitelist|nosec)\w*|lgtm\b|codeql\s*\["
    r"|(?:pyright|mypy|flake8|ruff|isort|yapf|pycodestyle|pydocstyle|pyre|pytype|bandit|semgrep|deepsource|sourcery|vulture)\s*:\s*[a-z]"
    r"|pyre-(?:ignore|fixme|unsafe)|skipcq|nopep8|eslint-disable\w*|tslint:disable|jshint\s+ignore|jslint\b|ts-(?:ignore|nocheck|expect-error)"
    r"|istanbul\s+ignore|c8\s+ignore|v8\s+ignore|prettier-ignore|suppress(?:warnings|fbwarnings|lint)|nolint|rubocop:(?:disable|todo)|brakeman:ignore"
    r"|phpcs:(?:ignore|disable)|phpstan-ignore\w*|psalm-suppress|codingstandardsignore\w*|checkov:skip|tfsec:ignore|trivy:ignore|kics-scan\s+\w+"
    r"|hadolint\s+ignore|shellcheck\s+disable|cppcheck-suppress|coverity\s*\[|clang-diagnostic-ignored|gosec\b|gitleaks:allow|trufflehog:ignore"
    r"|snyk:?\s*ignore|deepcode\s+ignore|bearer:disable|safety:\s*ignore|fortify\s+suppress|parasoft-suppress|whitesource-?ignore|veracode\s+ignore"
    r"|coverage:\s*ignore|detekt:|ktlint-disable|swiftlint:disable|allow\(clippy|#\[allow\(|sast-?ignore|security-?ignore|false[\s_-]positive"
    r"|pytest\.mark\.(?:skip|xfail)\w*|unittest\.skip\w*"
    r")"
)
_RUN = re.compile(
    r"[A-Za-z0-9+/_=-]{100,}|(?:\\x[0-9a-fA-F]{2}){16,}|(?:\\[0-7]{3}){16,}|(?:\\u[0-9a-fA-F]{4}){12,}|(?:[0-9a-fA-F]{2}[ ,:]){40,}"
)
_PIECES = re.compile(r"\bchr\(|\bString\.fromCharCode\(|\bunhexlify\(|\b0x[0-9a-fA-F]{1,2}\b")
_COMMENT = re.compile(r"^\s*(?:#+|//+|--+|/\*+|\*+|;+|<!--|%+|'+|\"{3}|rem\b)\s?(.*?)\s*(?:\*/|-->|\"{3})?\s*$", re.IGNORECASE)
_DEFINITION = re.compile(r"\b(?:function|func|def|class|interface|struct|enum|fn|module|trait|record)\s*\*?\s+([A-Za-z_$][\w$]*)")
_SWITCHED_OFF = re.compile(
    r"\bif\s*\(?\s*(?:false|0|nil|null|undefined|!\s*(?:true|1))\s*\)|^\s*#\s*if\s+0\b|\bif\s+false\b|\bwhile\s*\(\s*(?:false|0)\s*\)"
)
_EMPTY_CATCH = re.compile(
    r"\bcatch\s*(?:\([^()]*\))?\s*\{\s*(?:(?://[^\n]*|/\*.*?\*/)\s*)*\}|\brescue\b[^\n]*\n\s*(?:nil\s*\n\s*)?end\b", re.DOTALL
)
_TEST_WORDS = re.compile(
    r"JEST_WORKER_ID|NODE_ENV['\"\]\s]*[=!]==?\s*['\"]test|PYTEST_\w+|testing\.Testing\(\)|RSpec|PHPUNIT_\w+|\bos\.Args\b|isRunningTests"
)
_MAX_TEXT = 4_000_000


def text_guards(pair: FilePair, max_line_length: int) -> Iterator[Objection]:
    """Yield what the guards for any language have against one file's change."""
    for hunk in pair.change.hunks:
        yield from _suppressions(pair.path, hunk)
        yield from _commented_out(pair.path, hunk)
    yield from _opaque(pair, max_line_length)
    yield from _changed_examples(pair)
    if pair.language != "python":
        yield from _other_languages(pair)


def plain(text: str) -> str:
    """Return the text as a lenient reader sees it: composed, without invisible characters, in one case."""
    return "".join(
        char for char in unicodedata.normalize("NFKC", text) if unicodedata.category(char) not in ("Cf", "Cc") or char in "\t "
    ).casefold()


def _marks(line: Line) -> list[str]:
    return [match[0] for match in _SUPPRESSION.finditer(plain(line.text))]


def _suppressions(path: str, hunk: Hunk) -> Iterator[Objection]:
    # A mark counts with what follows it, so `noqa: E501` may not widen to a bare `noqa`.
    left = Counter(_rest(line) for line in hunk.lines if line.mark == "-" and _marks(line))
    for line in hunk.lines:
        if line.mark == "+" and (marks := _marks(line)):
            left[_rest(line)] -= 1
            if left[_rest(line)] < 0:
                yield Objection("suppression-added", path, f"{marks[0].strip()!r} tells a scanner or checker to look away", line.new)


def _rest(line: Line) -> str:
    text = plain(line.text)
    match = _SUPPRESSION.search(text)
    return text[match.start() :].strip() if match else ""


def _commented_out(path: str, hunk: Hunk) -> Iterator[Objection]:
    gone = {_squeezed(line.text) for line in hunk.lines if line.mark == "-" and not _COMMENT.match(line.text)}
    gone = {text for text in gone if len(text) >= 6 and re.search(r"[=(\[{.]|\breturn\b|\bimport\b", text)}
    for line in hunk.lines:
        match = _COMMENT.match(line.text) if line.mark == "+" else None
        if match and _squeezed(match[1]) in gone:
            yield Objection("feature-deleted", path, "code is commented out", line.new)
    yield from _quoted_out(path, hunk)


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _quoted_out(path: str, hunk: Hunk) -> Iterator[Objection]:
    """Yield where lines that stay are put between new comment or string fences."""
    fences = [
        line for line in hunk.lines if line.mark == "+" and line.text.strip() in ('"""', "'''", "/*", "*/", "=begin", "=end", "<!--", "-->")
    ]
    if len(fences) >= 2 and any(
        fences[0].new < line.new < fences[-1].new and line.mark == " " and line.text.strip() for line in hunk.lines
    ):
        yield Objection("feature-deleted", path, "code is put between comment marks", fences[0].new)


def _changed_examples(pair: FilePair) -> Iterator[Objection]:
    """Yield where an example that a test runner can run (`>>> …`) is gone, or what it has to print."""
    if b">>>" not in (pair.before or b""):
        return
    left = _examples(_text(pair.after), pair.language)
    for (source, _), count in (_examples(_text(pair.before), pair.language) - left).items():
        yield Objection("test-edit", pair.path, f"{count} example of {source.strip()[:80]!r} is changed or gone, and it is a test")


def _examples(text: str, language: str) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for part in _documents(text) if language == "python" else [text]:
        try:
            found.update((example.source, example.want) for example in doctest.DocTestParser().get_examples(part))
        except ValueError:
            found[part, ""] += 1
    return found


def _documents(text: str) -> Iterator[str]:
    """Yield the literal texts of a Python file that hold examples: what follows one in the file is no part of it."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and ">>>" in node.value:
            yield node.value


def _opaque(pair: FilePair, max_line_length: int) -> Iterator[Objection]:
    removed = pair.change.removed
    longest = max((len(line.text) for line in removed), default=0)
    known = {match[0] for line in removed for match in _RUN.finditer(line.text)}
    for line in pair.change.added:
        if len(line.text) > max(max_line_length, longest + 100):
            yield Objection("opaque-content", pair.path, f"a line of {len(line.text)} characters", line.new)
        elif any(match[0] not in known and _looks_coded(match[0]) for match in _RUN.finditer(line.text)):
            yield Objection("opaque-content", pair.path, "a long coded literal", line.new)
        elif len(_PIECES.findall(line.text)) >= 8:
            yield Objection("opaque-content", pair.path, "text put together from character codes", line.new)


def _looks_coded(run: str) -> bool:
    return run.startswith("\\") or " " in run or (any(char.isdigit() for char in run) and len(set(run)) > 12)


def _other_languages(pair: FilePair) -> Iterator[Objection]:
    before, after = _text(pair.before), _text(pair.after)
    if pair.after is not None:
        there = {match[1] for match in _DEFINITION.finditer(after)}
        for line in pair.change.removed:
            match = _DEFINITION.search(line.text)
            if match and not _COMMENT.match(line.text) and match[1] not in there:
                yield Objection("feature-deleted", pair.path, f"the definition of {match[1]!r} is gone")
    if len(_EMPTY_CATCH.findall(after)) > len(_EMPTY_CATCH.findall(before)):
        yield Objection("swallow-all", pair.path, "a handler that does nothing")
    for pattern, code, detail in (
        (_SWITCHED_OFF, "feature-deleted", "a condition that is never true"),
        (_TEST_WORDS, "test-aware", "the code asks for a test run"),
    ):
        allowance = sum(bool(pattern.search(line.text)) for line in pair.change.removed)
        hits = [line for line in pair.change.added if pattern.search(line.text)]
        for line in hits[allowance:]:
            yield Objection(code, pair.path, detail, line.new)


def _text(data: bytes | None) -> str:
    return (data or b"")[:_MAX_TEXT].decode("utf-8", "replace")
