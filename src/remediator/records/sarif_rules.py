"""What a SARIF log says of a result's rule: its id, severity, weaknesses and words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from remediator.records.finding import Severity
from remediator.records.json_node import JsonNode

_CWE = re.compile(r"\bCWE[-_/ ]?0*(\d{1,5})\b", re.IGNORECASE)
_WORDS = {
    "critical": Severity.critical,
    "error": Severity.high,
    "high": Severity.high,
    "warning": Severity.medium,
    "medium": Severity.medium,
    "moderate": Severity.medium,
    "low": Severity.low,
    "note": Severity.low,
    "recommendation": Severity.low,
    "info": Severity.info,
    "informational": Severity.info,
    "none": Severity.info,
}
_SEVERITY_KEYS = ("severity", "issue_severity", "problem.severity", "impact")
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\d{1,3})\}")
_NOTHING = JsonNode({}, "")


class SarifRule(NamedTuple):
    """A rule's id and its descriptor, an empty one where the log has none."""

    id: str
    descriptor: JsonNode


class SarifRules:
    """The rules and taxonomies of one run."""

    def __init__(self, run: JsonNode) -> None:
        tool = run.object("tool")
        self._components = [tool.object("driver"), *tool.items("extensions")]
        self._taxonomies = run.items("taxonomies")
        self._by_id: dict[str, JsonNode] = {}
        self._lists: dict[int, list[JsonNode]] = {}
        for number, component in enumerate(self._components):
            self._lists[number] = component.items("rules")
            for rule in self._lists[number]:
                self._by_id.setdefault(rule.text("id"), rule)

    def of(self, result: JsonNode) -> SarifRule:
        """Return the rule of a result: by reference, index or id."""
        reference = result.object("rule")
        named = result.text("ruleId") or reference.text("id")
        index = result.number("ruleIndex")
        index = reference.number("index") if index is None else index
        component = reference.object("toolComponent").number("index")
        rules = self._lists.get(0 if component is None else component + 1, [])
        if index is not None and 0 <= index < len(rules):
            descriptor = rules[index]
            return SarifRule(named or descriptor.text("id"), descriptor)
        known = named if named in self._by_id else named.rsplit("/", 1)[0]
        return SarifRule(named or "unknown", self._by_id.get(known, _NOTHING))

    def cwe(self, result: JsonNode, rule: SarifRule) -> tuple[int, ...]:
        """Return the weaknesses that tags, properties and taxa of a result and its rule name."""
        found: dict[int, None] = {}
        for node in (result, rule.descriptor):
            for text in _strings(node.object("properties").value):
                found.update(dict.fromkeys(int(number) for number in _CWE.findall(text)))
        taxa = result.items("taxa") + [relation.object("target") for relation in rule.descriptor.items("relationships")]
        for taxon in taxa:
            match = re.fullmatch(r"(?:CWE-?)?0*(\d{1,5})", self._taxon_id(taxon), re.IGNORECASE)
            if match and self._is_cwe(taxon):
                found[int(match[1])] = None
        return tuple(number for number in found if number > 0)

    def _taxon_id(self, taxon: JsonNode) -> str:
        if named := taxon.text("id"):
            return named
        taxonomy, index = self._taxonomy(taxon), taxon.number("index")
        taxa = taxonomy.items("taxa") if taxonomy else []
        return taxa[index].text("id") if index is not None and 0 <= index < len(taxa) else ""

    def _is_cwe(self, taxon: JsonNode) -> bool:
        taxonomy = self._taxonomy(taxon)
        name = taxon.object("toolComponent").text("name") or (taxonomy.text("name") if taxonomy else "")
        return "cwe" in (name or taxon.text("id")).lower()

    def _taxonomy(self, taxon: JsonNode) -> JsonNode | None:
        index = taxon.object("toolComponent").number("index")
        return self._taxonomies[index] if index is not None and 0 <= index < len(self._taxonomies) else None


def severity_of(result: JsonNode, rule: SarifRule) -> Severity:
    """Return a result's severity: a score first, then a word in the properties, then the level."""
    nodes = (result, rule.descriptor)
    for node in nodes:
        if (score := _score(node.object("properties").value.get("security-severity"))) is not None:
            return score
    for node in nodes:
        for key in _SEVERITY_KEYS:
            word = str(node.object("properties").value.get(key, "")).lower()
            if word in _WORDS:
                return _WORDS[word]
    level = result.text("level") or rule.descriptor.object("defaultConfiguration").text("level") or "warning"
    return _WORDS.get(level.lower(), Severity.medium)


def message_of(result: JsonNode, rule: SarifRule) -> str:
    """Return a result's message with its arguments filled in, else the rule's description."""
    message = result.object("message")
    text = message.text("text") or message.text("markdown")
    if not text and (key := message.text("id")):
        strings = rule.descriptor.object("messageStrings").object(key)
        text = strings.text("text") or strings.text("markdown")
    if not text:
        described = rule.descriptor.object("shortDescription").text("text") or rule.descriptor.object("fullDescription").text("text")
        text = described or rule.descriptor.text("name") or rule.id
    return _filled(text, message.child("arguments").value)


def _filled(text: str, arguments: object) -> str:
    words = arguments if isinstance(arguments, list) else []

    def word(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        return str(words[int(match[1])]) if int(match[1]) < len(words) else match[0]

    return _PLACEHOLDER.sub(word, text) if words else text


def _score(value: object) -> Severity | None:
    try:
        score = float(str(value))
    except ValueError:
        return None
    if not 0 <= score <= 10:
        return None
    steps = ((9.0, Severity.critical), (7.0, Severity.high), (4.0, Severity.medium), (0.1, Severity.low))
    return next((severity for least, severity in steps if score >= least), Severity.info)


def _strings(value: object, depth: int = 4, *, about_cwe: bool = False) -> Iterator[str]:
    """Yield the strings in a value; a bare number under a key that speaks of CWE becomes a CWE's name."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        yield f"CWE-{value}" if about_cwe and str(value).isdigit() else str(value)
    elif depth and isinstance(value, list):
        for item in value[:200]:
            yield from _strings(item, depth - 1, about_cwe=about_cwe)
    elif depth and isinstance(value, dict):
        for key, item in list(value.items())[:200]:
            yield from _strings(item, depth - 1, about_cwe=about_cwe or "cwe" in str(key).lower())
