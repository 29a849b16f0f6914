"""Which packages and versions an advisory is about, and whether a target is one of them. Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from typing import NamedTuple

from packaging.version import InvalidVersion, Version

from remediator.records.record import Record

_CLAUSE = re.compile(r"\s*(>=|<=|==|=|<|>)?\s*([^\s<>=,]+)\s*")
_COMPARE = {"<": operator.lt, "<=": operator.le, "==": operator.eq, "=": operator.eq, ">": operator.gt, ">=": operator.ge, "": operator.eq}
_OURS = ("pypi", "pip")


class AffectedPackage(Record):
    """A package, and its affected versions: listed by name, or as ranges such as `>=1.5.0,<2.4.0`.

    `ecosystem` is empty where an advisory gives a product's name in free words. Without versions and ranges nothing is known of them.
    """

    name: str
    ecosystem: str = ""
    versions: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()

    @property
    def normal_name(self) -> str:
        """Return the name as PEP 503 compares names."""
        return normal(self.name)

    def affects(self, version: str) -> bool | None:
        """Return whether a version is affected, None where that cannot be told."""
        answers = [_within(text, version) for text in self.ranges]
        if True in answers or any(_is(listed, version) for listed in self.versions):
            return True
        return None if None in answers or not (answers or self.versions) else False

    def told(self) -> str:
        """Return the affected versions in a few words."""
        shown = [*self.ranges, *([", ".join(self.versions[:12])] if self.versions and not self.ranges else [])]
        return " or ".join(shown[:6]) or "versions that it does not name"


class Subject(NamedTuple):
    """The target, as far as an advisory can be about it.

    `name` is what it calls itself, empty where it does not say; `guess` what its folder or repository is called.
    """

    name: str = ""
    guess: str = ""
    uri: str = ""
    version: str = ""


class Fit(NamedTuple):
    """Whether an advisory is about a target: `misfit` says why it is not, `doubts` what a person should know."""

    misfit: str = ""
    doubts: tuple[str, ...] = ()


def fit(advisory: str, packages: Iterable[AffectedPackage], repositories: Iterable[str], subject: Subject) -> Fit:
    """Return whether the advisory of this id is about the subject."""
    listed = tuple(packages)
    if not listed:
        return Fit()
    names = {normal(name) for name in (subject.name, subject.guess) if name}
    mine = [package for package in listed if package.normal_name in names and package.ecosystem.lower() in ("", *_OURS)]
    if not mine and _address(subject.uri) not in {_address(repository) for repository in repositories}:
        about = ", ".join(sorted({f"{p.ecosystem}:{p.name}" if p.ecosystem else p.name for p in listed})[:5])
        if subject.name and all(package.ecosystem for package in listed):
            return Fit(misfit=f"{advisory} is about {about}, and the target is {subject.name}")
        return Fit(doubts=(f"{advisory} is about {about}; that this is the target, {subject.name or subject.guess}, is not certain",))
    return Fit(doubts=_version_doubts(advisory, mine, subject.version))


def normal(name: str) -> str:
    """Return a package's name as PEP 503 compares names."""
    return re.sub(r"[-_.\s]+", "-", name.strip()).lower()


def _version_doubts(advisory: str, packages: Iterable[AffectedPackage], version: str) -> tuple[str, ...]:
    mine = tuple(packages)
    if not mine or not version or any(package.affects(version) is not False for package in mine):
        return ()
    return (f"{advisory} does not name version {version} as affected: {' or '.join(dict.fromkeys(p.told() for p in mine))}",)


def _is(listed: str, version: str) -> bool:
    return listed == version or _within(f"=={listed}", version) is True


def _within(text: str, version: str) -> bool | None:
    clauses = [match.groups(default="") for part in text.split(",") if (match := _CLAUSE.fullmatch(part))]
    if not clauses or len(clauses) != len(text.split(",")):
        return None
    try:
        return all(_COMPARE[sign](Version(version), Version(bound)) for sign, bound in clauses)
    except InvalidVersion:
        return None


def _address(uri: str) -> str:
    """Return a repository's address without scheme, user and ending, so that two ways to write it are one."""
    plain = re.sub(r"^(?:git\+)?[a-z]+://", "", uri.strip().lower()).rpartition("@")[2]
    return plain.replace(":", "/").rstrip("/").removesuffix(".git") or uri
