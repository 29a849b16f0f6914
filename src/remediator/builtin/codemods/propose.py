"""From one finding in one file to the changed text, or to the reason why there is none. Pure: no file, no process."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import libcst as cst

from remediator.builtin.codemods.draft import Draft, OverlapError
from remediator.builtin.codemods.import_edits import NameTakenError, without_unused_imports
from remediator.builtin.codemods.project_facts import ProjectFacts
from remediator.builtin.codemods.scene import Scene, Span, UnfaithfulParseError
from remediator.builtin.codemods.source_text import SourceText
from remediator.builtin.codemods.transform import RefusedError, Transform
from remediator.records.patch import ReasonCode


class Region(NamedTuple):
    """Where the finding points: lines and columns from 1, the end exclusive."""

    start_line: int
    start_column: int
    end_line: int
    end_column: int


class Question(NamedTuple):
    """What is asked of the transforms. `words` is the finding's rule id and message, used only where it names no weakness."""

    path: str
    data: bytes
    region: Region
    cwe: tuple[int, ...] = ()
    words: str = ""
    project: Mapping[str, bytes] = {}


class Change(NamedTuple):
    """One transform's answer: the whole file's new content."""

    transform: str
    summary: str
    behaviour: str
    data: bytes


class Refusal(NamedTuple):
    """Why there is no change, or no further one."""

    reason: ReasonCode
    detail: str


class Answer(NamedTuple):
    """All changes that are certain, best first, and why there are no others."""

    changes: tuple[Change, ...]
    refusal: Refusal


def propose(question: Question, transforms: Sequence[Transform]) -> Answer:
    """Return every certain change for a finding, best first."""
    try:
        source = SourceText.decode(question.data)
        scene = Scene(source.text, path=question.path, project=ProjectFacts.read(question.project))
    except (UnfaithfulParseError, UnicodeError, SyntaxError, LookupError, cst.ParserSyntaxError) as error:
        return _no(ReasonCode.could_not_check, f"the file does not parse as Python 3: {_first_line(error)}")
    region = _span_of(question.region, scene)
    if region is None:
        return _no(ReasonCode.could_not_check, f"the file has no line {question.region.start_line}")
    fitting = [item for item in transforms if _fits(item, question)]
    if not fitting:
        return _no(ReasonCode.needs_model, f"no transform knows {_called(question)}")
    return _gather(fitting, scene, region, source, question)


def _gather(fitting: Sequence[Transform], scene: Scene, region: Span, source: SourceText, question: Question) -> Answer:
    changes: list[Change] = []
    refusals: list[Refusal] = []
    for transform in fitting:
        for variant in range(transform.variants):
            draft = Draft(scene, variant=variant, cwe=frozenset(question.cwe))
            outcome = _try(transform, draft, region, source)
            if isinstance(outcome, Change) and outcome.data not in [change.data for change in changes]:
                changes.append(outcome)
            elif isinstance(outcome, Refusal):
                refusals.append(outcome)
    names = ", ".join(transform.name for transform in fitting)
    default = Refusal(ReasonCode.needs_model, f"none of the transforms for {_called(question)} knows this code ({names})")
    return Answer(tuple(changes), refusals[0] if refusals else default)


def _try(transform: Transform, draft: Draft, region: Span, source: SourceText) -> Change | Refusal | None:
    scene = draft.scene
    done = False
    refusal: Refusal | None = None
    for group in _candidates(transform.nodes, scene, region):
        for node in group:
            attempt = draft.fork()
            try:
                matched = transform.apply(node, scene, attempt)
            except RefusedError as error:
                refusal = refusal or Refusal(error.reason, f"{transform.name}: {error.detail}")
            except (OverlapError, NameTakenError) as error:
                refusal = refusal or Refusal(ReasonCode.no_safe_transform, f"{transform.name}: {error}")
            else:
                if matched and attempt.edits != draft.edits:
                    draft, done = attempt, True
        if done or refusal:
            break
    return _finish(transform, draft, source) if done else refusal


def _finish(transform: Transform, draft: Draft, source: SourceText) -> Change | Refusal:
    try:
        text = draft.text()
        if draft.released:
            text = without_unused_imports(Scene(text, path=draft.scene.path), draft.released)
        cst.parse_module(text)
        data = source.encode(text)
    except (cst.ParserSyntaxError, UnfaithfulParseError, NameTakenError) as error:
        return Refusal(ReasonCode.no_safe_transform, f"{transform.name}: the result would not parse ({_first_line(error)})")
    except UnicodeError:
        return Refusal(ReasonCode.no_safe_transform, f"{transform.name}: the result cannot be written in {source.encoding}")
    if _compiles(source.text) and not _compiles(text):
        return Refusal(ReasonCode.no_safe_transform, f"{transform.name}: the result would not compile")
    return Change(transform.name, transform.summary, draft.behaviour or transform.behaviour, data)


def _compiles(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(ast.parse(text), "<result>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def _candidates(types: tuple[type[cst.CSTNode], ...], scene: Scene, region: Span) -> Iterator[list[cst.CSTNode]]:
    """Yield groups of nodes to try, the likeliest first: what the region names exactly, what lies in it, what lies around it."""
    spans = {node: scene.span(node) for node in scene.nodes() if isinstance(node, types)}
    near = {node: span for node, span in spans.items() if span.overlaps(region)}
    yield [node for node, span in near.items() if span == region]
    yield _in_order((node, span) for node, span in near.items() if span.within(region) and span != region)
    around = sorted(
        (item for item in near.items() if not item[1].within(region)),
        key=lambda item: (not region.within(item[1]), item[1].end - item[1].start, item[1].start),
    )
    for node, _ in around:
        yield [node]


def _in_order(found: Iterable[tuple[cst.CSTNode, Span]]) -> list[cst.CSTNode]:
    return [node for node, _ in sorted(found, key=lambda item: (item[1].start, -item[1].end))]


def _span_of(region: Region, scene: Scene) -> Span | None:
    lines = scene.lines
    if not 1 <= region.start_line <= lines.count():
        return None
    start = lines.offset(region.start_line, region.start_column)
    end = lines.offset(region.end_line, region.end_column)
    if end <= start or not scene.text[start:end].strip():
        # A tool that gives only the line, or half a region, means the line.
        start, end = lines.offset(region.start_line, 1), lines.end_of_line(lines.offset(region.start_line, 1))
    text = scene.text[start:end]
    stripped = text.strip()
    if not stripped:
        return None
    lead = len(text) - len(text.lstrip())
    return Span(start + lead, start + lead + len(stripped))


def _fits(transform: Transform, question: Question) -> bool:
    if question.cwe:
        return not transform.cwe.isdisjoint(question.cwe)
    words = question.words.lower()
    return any(word in words for word in transform.words)


def _called(question: Question) -> str:
    return ", ".join(f"CWE-{number}" for number in question.cwe) or "a finding without a CWE and with these words"


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]


def _no(reason: ReasonCode, detail: str) -> Answer:
    return Answer((), Refusal(reason, detail))
