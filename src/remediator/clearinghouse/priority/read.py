"""Reads KEV, EPSS and SSVC files that the operator brought here. They came from elsewhere, so each has a size and is checked."""

from __future__ import annotations

import csv
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from remediator.clearinghouse.priority.feeds import Epss, FeedError, Feeds, Kev, Points, Score, Ssvc, worst

MOST_BYTES = 256 * 1024 * 1024
MOST_RECORD_BYTES = 8 * 1024 * 1024
MOST_ENTRIES = 2_000_000
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")
_EPSS_HEAD = re.compile(r"#\s*model_version:([^,\s]{1,40}),\s*score_date:([0-9T:+.Z-]{10,40})\s*")
_GZIP = b"\x1f\x8b"
_FILES = {
    "kev": ("known_exploited_vulnerabilities.json", "kev.json"),
    "epss": ("epss*.csv.gz", "epss*.csv"),
    "ssvc": ("ssvc*.csv", "ssvc*.json"),
}
_FOLDERS = ("ssvc", "vulnrichment")


def read_feeds(folder: Path, *, at: datetime) -> Feeds:
    """Read what a mirror folder holds: KEV and EPSS under their published names, SSVC as a file or as a folder of CVE records.

    A feed that is not there is not loaded; one that is there and is empty or damaged is an error. Raises FeedError.
    """
    kev, epss, ssvc = (_newest(folder, name) for name in ("kev", "epss", "ssvc"))
    ssvc = ssvc or next((folder / name for name in _FOLDERS if (folder / name).is_dir()), None)
    if not (kev or epss or ssvc):
        raise FeedError(
            f"{folder} holds no feed", hint="put known_exploited_vulnerabilities.json, epss_scores-DATE.csv.gz or ssvc.csv there"
        )
    return Feeds(
        at,
        kev=read_kev(kev) if kev else None,
        epss=read_epss(epss) if epss else None,
        ssvc=read_ssvc(ssvc) if ssvc else None,
    )


def holds_feeds(folder: Path) -> bool:
    """Return whether there is anything for `read_feeds` in a folder."""
    return any(_newest(folder, name) for name in _FILES) or any((folder / name).is_dir() for name in _FOLDERS)


def _newest(folder: Path, name: str) -> Path | None:
    # Dates stand in the names, so the last by name is the newest.
    found = [path for pattern in _FILES[name] for path in folder.glob(pattern) if path.is_file()]
    return max(found, key=lambda path: path.name, default=None)


def read_kev(path: Path) -> Kev:
    """Read CISA's `known_exploited_vulnerabilities.json`. Raises FeedError."""
    document = _json(_content(path, MOST_BYTES), path)
    entries = document.get("vulnerabilities")
    if not isinstance(entries, list) or not entries:
        raise FeedError(f"{path} lists no vulnerability: an empty catalog is not believed")
    count = document.get("count")
    if isinstance(count, int) and count != len(entries):
        raise FeedError(
            f"{path} says that it lists {count} vulnerabilities, and lists {len(entries)}", hint="it may be cut off; get it again"
        )
    added: dict[str, date | None] = {}
    for entry in entries:
        name = _cve(entry.get("cveID")) if isinstance(entry, dict) else None
        if name is None:
            raise FeedError(f"{path}: entry {len(added) + 1} has no CVE id")
        added[name] = _date(entry.get("dateAdded"))
    return Kev(str(document.get("catalogVersion", ""))[:40], _moment(document.get("dateReleased"), path), added)


def read_epss(path: Path) -> Epss:
    """Read FIRST's `epss_scores-DATE.csv`, also gzipped. Raises FeedError."""
    lines = _lines(path)
    head = _EPSS_HEAD.fullmatch(next(lines, "").strip())
    if head is None:
        raise FeedError(f"{path} does not begin with EPSS's line of model and date")
    scores: dict[str, Score] = {}
    for row in _rows(lines, path, ("cve", "epss")):
        name = _cve(row["cve"])
        if name is None:
            raise FeedError(f"{path}: row {len(scores) + 1} has no CVE id")
        scores[name] = Score(_share(row["epss"], path), _share(row["percentile"], path) if row.get("percentile") else None)
    if not scores:
        raise FeedError(f"{path} has no score: an empty feed is not believed")
    return Epss(head[1], _moment(head[2], path), scores)


def read_ssvc(path: Path) -> Ssvc:
    """Read SSVC decisions: a CSV file with columns `cve`, `automatable`, `technical_impact` and `date`; a CVE record; a folder of such.

    CVE records are of the form that CISA's Vulnrichment has. Raises FeedError.
    """
    if path.is_dir():
        found = _records(sorted(path.rglob("CVE-*.json")))
    elif path.suffix == ".json":
        found = _records([path])
    else:
        found = _table(path)
    points: dict[str, Points] = {}
    newest: datetime | None = None
    for name, point, at in found:
        before = points.get(name, Points(None, None))
        points[name] = Points(worst((before.automatable, point.automatable)), worst((before.total, point.total)), point.exploitation)
        newest = max(newest, at) if newest else at
        if len(points) > MOST_ENTRIES:
            raise FeedError(f"{path} has more than {MOST_ENTRIES} entries")
    if newest is None:
        raise FeedError(f"{path} has no SSVC decision: an empty feed is not believed")
    return Ssvc(newest, points)


def _records(paths: Iterable[Path]) -> Iterator[tuple[str, Points, datetime]]:
    for path in paths:
        if not path.is_file() or path.is_symlink():
            continue
        record = _json(_content(path, MOST_RECORD_BYTES), path)
        name = _cve(_at(record, "cveMetadata", "cveId"))
        if name is None:
            raise FeedError(f"{path} is no CVE record")
        for container in _array(_at(record, "containers", "adp")):
            for metric in _array(_at(container, "metrics")):
                if _at(metric, "other", "type") == "ssvc":
                    content = _at(metric, "other", "content")
                    yield name, _points(_array(_at(content, "options"))), _moment(_at(content, "timestamp"), path)


def _points(options: list[object]) -> Points:
    said: dict[str, str] = {}
    for option in options:
        if isinstance(option, dict):
            said |= {str(key).strip().lower(): str(value).strip().lower() for key, value in option.items()}
    return _decided(said.get("automatable", ""), said.get("technical impact", ""), said.get("exploitation", ""))


def _table(path: Path) -> Iterator[tuple[str, Points, datetime]]:
    for number, row in enumerate(_rows(_lines(path), path, ("cve", "automatable", "technical_impact", "date")), 1):
        name = _cve(row["cve"])
        if name is None:
            raise FeedError(f"{path}: row {number} has no CVE id")
        said = (
            row["automatable"].strip().lower(),
            row["technical_impact"].strip().lower(),
            (row.get("exploitation") or "").strip().lower(),
        )
        yield name, _decided(*said), _moment(row["date"], path)


def _decided(automatable: str, impact: str, exploitation: str) -> Points:
    return Points(
        {"yes": True, "no": False}.get(automatable),
        {"total": True, "partial": False}.get(impact),
        exploitation if exploitation in ("none", "poc", "public poc", "active") else "",
    )


def _rows(lines: Iterator[str], path: Path, needed: tuple[str, ...]) -> Iterator[Mapping[str, str]]:
    reader = csv.DictReader(lines, restval="", strict=True)
    try:
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = ["cve" if name == "cve_id" else name for name in names]
        missing = sorted(set(needed) - set(reader.fieldnames))
        if missing:
            raise FeedError(f"{path} lacks the column {missing[0]!r}")
        for number, row in enumerate(reader):
            if None in row:
                raise FeedError(f"{path}: line {reader.line_num} has too many columns")
            if number >= MOST_ENTRIES:
                raise FeedError(f"{path} has more than {MOST_ENTRIES} entries")
            yield row
    except csv.Error as error:
        raise FeedError(f"{path} is no well-formed CSV: {error}") from error


def _lines(path: Path) -> Iterator[str]:
    try:
        return iter(_content(path, MOST_BYTES).decode("utf-8-sig").splitlines())
    except UnicodeDecodeError as error:
        raise FeedError(f"{path} is not UTF-8") from error


def _content(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise FeedError(f"{path} cannot be read: {error.strerror}") from error
    if data.startswith(_GZIP):
        data = _unpacked(data, path, most)
    if len(data) > most:
        raise FeedError(f"{path} has more than {most} bytes")
    if not data.strip():
        raise FeedError(f"{path} is empty: an empty feed is not believed")
    return data


def _unpacked(data: bytes, path: Path, most: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        out = unpacker.decompress(data, most + 1)
    except zlib.error as error:
        raise FeedError(f"{path} is no sound gzip file") from error
    if len(out) <= most and (not unpacker.eof or unpacker.unused_data):
        raise FeedError(f"{path} is cut off, or has something behind its end", hint="get it again")
    return out


def _json(data: bytes, path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FeedError(f"{path} is no JSON") from error
    if not isinstance(document, dict):
        raise FeedError(f"{path} is JSON, but no object")
    return document


def _at(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _array(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _cve(value: object) -> str | None:
    text = value.strip().upper() if isinstance(value, str) else ""
    return text if _CVE.fullmatch(text) else None


def _share(text: str, path: Path) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 1.0:
        raise FeedError(f"{path}: {text[:40]!r} is no share of 1")
    return value


def _date(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def _moment(value: object, path: Path) -> datetime:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        raise FeedError(f"{path} does not say of when it is: {str(value)[:40]!r}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
