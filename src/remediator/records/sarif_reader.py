"""A SARIF log as findings: every result becomes a finding or a reason why not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from remediator.errors import ConfigError
from remediator.records.finding import Finding, Location, SuggestedFix, TextEdit, TraceStep
from remediator.records.json_node import JsonNode
from remediator.records.ordinals import numbered
from remediator.records.record import Record
from remediator.records.sarif_places import PlaceError, SarifPlaces
from remediator.records.sarif_rules import SarifRules, message_of, severity_of
from remediator.records.scan import Unchecked

_RESULTS = 200_000
_MESSAGE = 4_000
_SNIPPET = 10_000
_STEPS = 200
_NOT_FINDINGS = ("pass", "notApplicable", "informational")


class SarifReading(Record):
    """What a log holds. `covered` are the files that it says were analysed, `notes` what was left out on purpose, and why."""

    findings: tuple[Finding, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    covered: tuple[str, ...] = ()
    tools: dict[str, str] = {}
    notes: tuple[str, ...] = ()


def read_sarif(
    data: bytes, *, document: str, scanner: str, read: Callable[[str], bytes | None], root: str = "", suppressed: bool = True
) -> SarifReading:
    """Read a SARIF 2.1.0 log against the files that `read` knows (None: no such file).

    `root` says where the tree was when the tool ran. Suppressed results are findings too unless `suppressed` is False: who may
    write into a repository may suppress. Raises ConfigError naming the document and the place in it where it is malformed.
    """
    log = JsonNode.parse(data, document).checked()
    if (version := log.text("version")) != "2.1.0":
        raise ConfigError(f"{document} has the version {version!r}", hint="only SARIF 2.1.0 is read")
    if not isinstance(log.child("runs").value, list):
        log.child("runs").refuse("an array")
    runs = [_Run(run, scanner, read, root, suppressed) for run in log.items("runs")]
    if sum(len(run.results) for run in runs) > _RESULTS:
        raise ConfigError(f"{document} has more than {_RESULTS} results", hint="split it")
    try:
        for run in runs:
            run.take()
    except RecursionError as error:
        raise ConfigError(f"{document} is nested too deeply") from error
    return SarifReading(
        findings=tuple(numbered(finding for run in runs for finding in run.findings)),
        unchecked=tuple(dict.fromkeys(item for run in runs for item in run.unchecked)),
        covered=tuple(sorted({path for run in runs for path in run.covered})),
        tools={name: version for run in runs for name, version in run.tools()},
        notes=tuple(dict.fromkeys(note for run in runs for note in run.notes)),
    )


class _Run:
    def __init__(self, run: JsonNode, scanner: str, read: Callable[[str], bytes | None], root: str, suppressed: bool) -> None:
        self.run, self.scanner, self.keep_suppressed = run, scanner, suppressed
        self.results = run.items("results")
        self.rules = SarifRules(run)
        self.places = SarifPlaces(run, read, root)
        self.tool = run.object("tool").object("driver").text("name")
        self.findings: list[Finding] = []
        self.unchecked: list[Unchecked] = []
        self.covered: set[str] = set()
        self.notes: list[str] = []
        self.stale: set[str] = set()

    def tools(self) -> Iterator[tuple[str, str]]:
        driver = self.run.object("tool").object("driver")
        yield self.tool or "unknown", driver.text("semanticVersion") or driver.text("version")

    def take(self) -> None:
        self._take_artifacts()
        for result in sorted(self.results, key=_file_of):
            self._take(result)
        for invocation in self.run.items("invocations"):
            self._take_invocation(invocation)
        self.covered -= {item.path for item in self.unchecked}
        if any(item.path == "" for item in self.unchecked):
            self.covered.clear()

    def _take_artifacts(self) -> None:
        for artifact in self.run.items("artifacts"):
            try:
                path = self.places.path(artifact.object("location"))
            except PlaceError:
                continue
            declared = artifact.object("hashes").text("sha-256").lower()
            if declared and declared != hashlib.sha256(self.places.source(path).data).hexdigest():
                self.stale.add(path)
                self._miss(path, "the file is not the one that the tool read: its SHA-256 differs")
            else:
                self.covered.add(path)

    def _take(self, result: JsonNode) -> None:
        if reason := self._no_finding(result):
            self.notes.append(reason)
            return
        try:
            finding = self._finding(result)
        except PlaceError as error:
            self._miss(error.path, f"{self.tool}: {self.rules.of(result).id}: {error.detail}")
            return
        if finding.path in self.stale:
            return
        self.findings.append(finding)
        if finding.path:
            self.covered.add(finding.path)

    def _no_finding(self, result: JsonNode) -> str:
        kind = result.text("kind")
        if kind in _NOT_FINDINGS:
            return f"{self.tool}: results of the kind {kind!r} are no findings"
        if result.text("baselineState") == "absent":
            return f"{self.tool}: results that the log says are absent by now are no findings"
        accepted = [item for item in result.items("suppressions") if item.text("status") in ("", "accepted")]
        if accepted and not self.keep_suppressed:
            return f"{self.tool}: suppressed results are left out"
        return ""

    def _finding(self, result: JsonNode) -> Finding:
        rule = self.rules.of(result)
        location = self._location(result)
        snippet = self.places.source(location.path).text(location)[:_SNIPPET] if location else ""
        finding = Finding.at(
            rule_id=rule.id,
            scanner=self.scanner,
            message=message_of(result, rule)[:_MESSAGE],
            location=location,
            snippet=snippet,
            severity=severity_of(result, rule),
            cwe=self.rules.cwe(result, rule),
            trace=tuple(self._trace(result)),
            fixes=tuple(self._fixes(result, location)),
            aliases=tuple(_fingerprints(result)),
            references=tuple(uri for uri in (rule.descriptor.text("helpUri"), result.text("hostedViewerUri")) if uri),
        )
        return finding.model_copy(update={"tool": self.tool})

    def _location(self, result: JsonNode) -> Location | None:
        physical = [place.object("physicalLocation") for place in result.items("locations") if "physicalLocation" in place]
        physical = [place for place in physical if "artifactLocation" in place]
        return self.places.location(physical[0]) if physical else None

    def _trace(self, result: JsonNode) -> Iterator[TraceStep]:
        flows = [thread for flow in result.items("codeFlows")[:1] for thread in flow.items("threadFlows")[:1]]
        for step in (step for thread in flows for step in thread.items("locations")[:_STEPS]):
            place = step.object("location")
            try:
                location = self.places.location(place.object("physicalLocation"))
            except PlaceError:
                continue
            yield TraceStep(location=location, message=place.object("message").text("text")[:_MESSAGE])

    def _fixes(self, result: JsonNode, location: Location | None) -> Iterator[SuggestedFix]:
        if location and not self._same_text(result, location):
            if result.items("fixes"):
                self.notes.append(f"{self.tool}: {location.path} has changed since the tool read it: its fixes there are left out")
            return
        for fix in result.items("fixes"):
            try:
                edits = tuple(self._edits(fix))
            except PlaceError as error:
                self.notes.append(f"{self.tool}: a fix is left out: {error.detail}")
                continue
            if edits:
                yield SuggestedFix(description=fix.object("description").text("text")[:_MESSAGE], edits=edits)

    def _edits(self, fix: JsonNode) -> Iterator[TextEdit]:
        for change in fix.items("artifactChanges"):
            path = self.places.path(change.object("artifactLocation"))
            for replacement in change.items("replacements"):
                inserted = replacement.object("insertedContent")
                if "binary" in inserted:
                    raise PlaceError(path, "it inserts bytes that are not text")
                region = replacement.object("deletedRegion")
                if not region.value:
                    raise PlaceError(path, "it does not say what it replaces")
                yield TextEdit(location=self.places.region(path, region), text=inserted.text("text"))

    def _same_text(self, result: JsonNode, location: Location) -> bool:
        """Return whether the text that the tool saw still stands there; a log without snippets is taken at its word."""
        place = result.items("locations")[0].object("physicalLocation").object("region")
        seen = "".join(place.object("snippet").text("text").split())
        source = self.places.source(location.path)
        lines = (source.line(number) for number in range(location.start_line, location.end_line + 1))
        return not seen or seen in "".join("".join(lines).split()) or "".join(source.text(location).split()) in seen

    def _take_invocation(self, invocation: JsonNode) -> None:
        told = False
        for key in ("toolExecutionNotifications", "toolConfigurationNotifications"):
            for notification in invocation.items(key):
                told |= self._take_notification(notification)
        if invocation.child("executionSuccessful").value is False and not told:
            self._miss("", f"{self.tool}: the run failed: {invocation.text('exitCodeDescription') or 'no reason given'}")

    def _take_notification(self, notification: JsonNode) -> bool:
        level = notification.text("level") or "warning"
        text = notification.object("message").text("text")
        paths = list(self._paths_of(notification))
        if level not in ("error", "warning") or (level == "warning" and not paths):
            if text:
                self.notes.append(f"{self.tool}: {text[:500]}")
            return False
        for path in paths or [""]:
            self._miss(path, f"{self.tool}: {text[:500]}", _reason(text + notification.object("descriptor").text("id")))
        return True

    def _paths_of(self, notification: JsonNode) -> Iterator[str]:
        for place in notification.items("locations"):
            try:
                yield self.places.path(place.object("physicalLocation").object("artifactLocation"))
            except PlaceError as error:
                if error.path:
                    yield error.path

    def _miss(self, path: str, detail: str, reason: str = "unreadable") -> None:
        reason = "scanner-error" if not path and reason == "unreadable" else reason
        self.unchecked.append(Unchecked(scanner=self.scanner, path=path, reason=reason, detail=detail))


def _file_of(result: JsonNode) -> str:
    places = result.items("locations")
    return places[0].object("physicalLocation").object("artifactLocation").text("uri") if places else ""


def _fingerprints(result: JsonNode) -> Iterator[str]:
    for key in ("fingerprints", "partialFingerprints"):
        for name, value in list(result.object(key).value.items())[:4]:
            # A tool that keeps its fingerprints for paying users prints the same words for each of them.
            if isinstance(value, str) and " " not in value:
                yield f"fingerprint:{name}:{value[:200]}"


def _reason(text: str) -> str:
    word = text.lower()
    if "timeout" in word or "timed out" in word or "time-out" in word:
        return "timeout"
    return "parse-error" if "pars" in word or "syntax" in word else "scanner-error"
