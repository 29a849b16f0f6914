"""How bad a CVSS vector or score says that something is."""

from __future__ import annotations

from collections.abc import Mapping

from remediator.records.finding import Severity

_WORDS = {
    "critical": Severity.critical,
    "important": Severity.high,
    "high": Severity.high,
    "moderate": Severity.medium,
    "medium": Severity.medium,
    "low": Severity.low,
    "none": Severity.info,
    "info": Severity.info,
}
_REACH = {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2}
_EFFORT = {"L": 0.77, "H": 0.44}
_RIGHTS = {False: {"N": 0.85, "L": 0.62, "H": 0.27}, True: {"N": 0.85, "L": 0.68, "H": 0.5}}
_PERSON = {"N": 0.85, "R": 0.62}
_HARM = {"H": 0.56, "L": 0.22, "N": 0.0}
_REACH_2 = {"L": 0.395, "A": 0.646, "N": 1.0}
_EFFORT_2 = {"H": 0.35, "M": 0.61, "L": 0.71}
_LOGIN_2 = {"M": 0.45, "S": 0.56, "N": 0.704}
_HARM_2 = {"N": 0.0, "P": 0.275, "C": 0.66}


def severity_of_word(word: str) -> Severity | None:
    """Return the severity that a publisher's word names, None where it names none."""
    return _WORDS.get(word.strip().lower())


def severity_of_score(score: float) -> Severity:
    """Return the severity of a base score of any version, by the qualitative scale of version 3."""
    for least, severity in ((9.0, Severity.critical), (7.0, Severity.high), (4.0, Severity.medium), (0.1, Severity.low)):
        if score >= least:
            return severity
    return Severity.info


def severity_of_vector(vector: str) -> Severity | None:
    """Return the severity of a vector, None where it is not one.

    Versions 2 and 3 are computed. Version 4 scores by a table of experts' judgements; it is read as the version 3 vector that says the
    same, which can come out a step higher or lower.
    """
    try:
        return severity_of_score(_score(vector.strip()))
    except (KeyError, ValueError):
        return None


def _score(vector: str) -> float:
    head, _, rest = vector.partition("/")
    if head in ("CVSS:3.0", "CVSS:3.1"):
        return _score_3(_metrics(rest))
    if head == "CVSS:4.0":
        return _score_3(_as_version_3(_metrics(rest)))
    return _score_2(_metrics(vector.strip("()")))


def _metrics(text: str) -> dict[str, str]:
    return dict(part.split(":") for part in text.split("/") if part)


def _score_3(metrics: Mapping[str, str]) -> float:
    changed = {"U": False, "C": True}[metrics["S"]]
    left = (1 - _HARM[metrics["C"]]) * (1 - _HARM[metrics["I"]]) * (1 - _HARM[metrics["A"]])
    base = 1 - left
    impact = 7.52 * (base - 0.029) - 3.25 * (base - 0.02) ** 15 if changed else 6.42 * base
    if impact <= 0:
        return 0.0
    ease = 8.22 * _REACH[metrics["AV"]] * _EFFORT[metrics["AC"]] * _RIGHTS[changed][metrics["PR"]] * _PERSON[metrics["UI"]]
    return _rounded_up(min((impact + ease) * (1.08 if changed else 1.0), 10.0))


def _rounded_up(score: float) -> float:
    # The standard's own way to round, which keeps floating point out of the last digit.
    whole = round(score * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (whole // 10_000 + 1) / 10


def _as_version_3(metrics: Mapping[str, str]) -> dict[str, str]:
    beyond = any(metrics[name] != "N" for name in ("SC", "SI", "SA"))
    return {
        "AV": metrics["AV"],
        "AC": "H" if "H" in metrics["AC"] or metrics["AT"] == "P" else "L",
        "PR": metrics["PR"],
        "UI": "N" if metrics["UI"] == "N" else "R",
        "S": "C" if beyond else "U",
        **{harm: max(metrics[f"V{harm}"], metrics[f"S{harm}"], key=_HARM.__getitem__) for harm in "CIA"},
    }


def _score_2(metrics: Mapping[str, str]) -> float:
    left = (1 - _HARM_2[metrics["C"]]) * (1 - _HARM_2[metrics["I"]]) * (1 - _HARM_2[metrics["A"]])
    impact = 10.41 * (1 - left)
    ease = 20 * _REACH_2[metrics["AV"]] * _EFFORT_2[metrics["AC"]] * _LOGIN_2[metrics["Au"]]
    return round((0.6 * impact + 0.4 * ease - 1.5) * (1.176 if impact else 0.0), 1)
