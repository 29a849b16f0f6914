"""What is known about vulnerabilities by their CVE ids: KEV, EPSS and SSVC, with the age of each.

The files are read by `priority.read`. An entry that is missing from a stale or absent feed is unknown, never "no" and never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import NamedTuple

from remediator.errors import RemediatorError


class FeedError(RemediatorError):
    """A feed is missing, empty, damaged, stale or too large. Never to be read as "nothing is exploited"."""


class Kev(NamedTuple):
    """CISA's catalog of known exploited vulnerabilities, and when each was added."""

    version: str
    as_of: datetime
    added: Mapping[str, date | None]


class Score(NamedTuple):
    """The estimate that a vulnerability is exploited within 30 days, and its rank among all."""

    epss: float
    percentile: float | None = None


class Epss(NamedTuple):
    """FIRST's scores of one day."""

    model: str
    as_of: datetime
    scores: Mapping[str, Score]


class Points(NamedTuple):
    """What an SSVC assessor decided; None is: not said."""

    automatable: bool | None
    total: bool | None
    exploitation: str = ""


class Ssvc(NamedTuple):
    """SSVC decision points. `as_of` is the newest of them; a decision does not age, but the absence of one does."""

    as_of: datetime
    points: Mapping[str, Points]


class Feeds(NamedTuple):
    """What was loaded; None is: no such feed. `at` is the time against which age is measured."""

    at: datetime
    kev: Kev | None = None
    epss: Epss | None = None
    ssvc: Ssvc | None = None
    most_age_days: float = 7.0
    """A feed that is older is stale: KEV and EPSS appear daily."""

    def moved_to(self, at: datetime) -> Feeds:
        """Return the same feeds as they are at another time: older."""
        return self._replace(at=at)

    def age_days(self, feed: Kev | Epss | Ssvc) -> float:
        """Return the feed's age in days."""
        return (self.at - feed.as_of).total_seconds() / 86_400

    def is_stale(self, feed: Kev | Epss | Ssvc) -> bool:
        """Return whether the feed is too old to conclude anything from what it lacks; one from the future is not trusted either."""
        return not -1.0 <= self.age_days(feed) <= self.most_age_days

    def in_kev(self, aliases: Iterable[str]) -> bool | None:
        """Return whether one of the names is in the catalog; None where that cannot be told. Without a CVE id nothing can be listed."""
        if self.kev is None:
            return None
        if any(alias in self.kev.added for alias in _upper(aliases)):
            return True
        return None if self.is_stale(self.kev) else False

    def score(self, aliases: Iterable[str]) -> Score | None:
        """Return the highest score of the names, None where there is none; an old one is still given, with its date beside it."""
        if self.epss is None:
            return None
        return max((self.epss.scores[alias] for alias in _upper(aliases) if alias in self.epss.scores), default=None)

    def points(self, aliases: Iterable[str]) -> Points:
        """Return the worst that was decided under any of the names."""
        if self.ssvc is None:
            return Points(None, None)
        found = [self.ssvc.points[alias] for alias in _upper(aliases) if alias in self.ssvc.points]
        return Points(worst(each.automatable for each in found), worst(each.total for each in found))


def worst(values: Iterable[bool | None]) -> bool | None:
    """Return True where anybody says so, None where nobody says anything."""
    said = [value for value in values if value is not None]
    return any(said) if said else None


def check_fresh(feeds: Feeds) -> None:
    """Refuse stale feeds. Raises FeedError with the age."""
    for name in ("kev", "epss", "ssvc"):
        feed = getattr(feeds, name)
        if feed is not None and feeds.is_stale(feed):
            raise FeedError(
                f"the {name.upper()} feed is of {feed.as_of:%Y-%m-%d}, {feeds.age_days(feed):.0f} days from now",
                hint=f"bring a newer file, or allow more than {feeds.most_age_days:g} days",
            )


def ages(feeds: Feeds) -> dict[str, str]:
    """Return each feed's age in words, for people."""
    told = {}
    for name in ("kev", "epss", "ssvc"):
        feed = getattr(feeds, name)
        if feed is None:
            told[name] = "not loaded"
        else:
            stale = ", stale" if feeds.is_stale(feed) else ""
            told[name] = f"of {feed.as_of.astimezone(UTC):%Y-%m-%d}, {feeds.age_days(feed):.0f} days old{stale}"
    return told


def _upper(aliases: Iterable[str]) -> list[str]:
    return [alias.upper() for alias in aliases]
