"""The folder of feeds that this machine keeps: a file gets into it once it was read whole, and never in place of a newer one."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from remediator.artefacts import private_folder, write_atomically
from remediator.clearinghouse.priority.feeds import Epss, FeedError, Feeds, Kev, Ssvc
from remediator.clearinghouse.priority.read import MOST_BYTES, holds_feeds, read_epss, read_feeds, read_kev, read_ssvc

_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[Path], Kev | Epss | Ssvc]], ...] = (
    ("kev", re.compile(r"(known_exploited_vulnerabilities|kev)\.json"), read_kev),
    ("epss", re.compile(r"epss.*\.csv(\.gz)?"), read_epss),
    ("ssvc", re.compile(r"ssvc.*\.(csv|json)"), read_ssvc),
)


class Loaded(NamedTuple):
    """One feed that is kept, or None of what is not known of one that is not."""

    feed: str
    as_of: datetime | None
    age_days: float | None
    stale: bool | None
    entries: int


def load_feed(path: Path, folder: Path) -> str:
    """Read a file whole, then keep it; return which feed it is. Raises FeedError where it is none, damaged, or older than the one kept."""
    found = next(((name, read) for name, pattern, read in _KINDS if pattern.fullmatch(path.name)), None)
    if found is None:
        raise FeedError(
            f"{path.name[:200]!r} has no name of a feed",
            hint="known_exploited_vulnerabilities.json, epss_scores-DATE.csv.gz, ssvc.csv or ssvc.json",
        )
    name, read = found
    new = read(path)
    kept = _kept(folder, name)
    if kept is not None and (before := read(kept).as_of) > new.as_of:
        raise FeedError(
            f"{path} is of {new.as_of:%Y-%m-%d %H:%M}, and what is loaded of {before:%Y-%m-%d %H:%M}",
            hint=f"to go back, remove {kept} first",
        )
    private_folder(folder)
    data = path.read_bytes()
    if len(data) > MOST_BYTES:
        raise FeedError(f"{path} has more than {MOST_BYTES} bytes")
    target = folder / (name + "".join(path.suffixes[-2:] if path.suffix == ".gz" else path.suffixes[-1:]))
    write_atomically(target, data)
    if kept is not None and kept != target:
        kept.unlink()
    return name


def loaded(folder: Path, *, at: datetime) -> list[Loaded]:
    """Return what is kept, with its age at a time. Raises FeedError where a file is damaged."""
    feeds = read_feeds(folder, at=at) if holds_feeds(folder) else Feeds(at)
    return [_told(feeds, name) for name, _, _ in _KINDS]


def _told(feeds: Feeds, name: str) -> Loaded:
    feed: Kev | Epss | Ssvc | None = getattr(feeds, name)
    if feed is None:
        return Loaded(name, None, None, None, 0)
    entries = len(feed.added if isinstance(feed, Kev) else feed.scores if isinstance(feed, Epss) else feed.points)
    return Loaded(name, feed.as_of.astimezone(UTC), round(feeds.age_days(feed), 1), feeds.is_stale(feed), entries)


def _kept(folder: Path, name: str) -> Path | None:
    return next((path for path in sorted(folder.glob(f"{name}.*")) if path.is_file()), None)
