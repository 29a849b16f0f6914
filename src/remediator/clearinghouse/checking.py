"""What is checked of a submitted fix before anything of it is run: the bundle is whole, its submitter's, and says what was submitted."""

from __future__ import annotations

import json
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from remediator.artefacts import read_regular
from remediator.clearinghouse.client.handing import flaw_of, handed
from remediator.clearinghouse.store import Job
from remediator.clearinghouse.wire.identity import project as normalised
from remediator.errors import EvidenceError, PatchError, SourceError
from remediator.evidence.container import LIMITS, unpack_files
from remediator.evidence.examine import Bundle, examine
from remediator.evidence.keys import PublicKey, TrustedKeys
from remediator.records.record import digest_of
from remediator.records.source import Source, SourceKind
from remediator.records.submission import Submission
from remediator.source.target import PackageTarget, read_target

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Policy(NamedTuple):
    """Where sources may be fetched from (package indexes always, git over https from these hosts only), and how long one fix may take."""

    git_hosts: frozenset[str] = frozenset(("github.com", "gitlab.com", "codeberg.org"))
    most_seconds: float = 2 * 3600


def checked(job: Job) -> Bundle:
    """Return the bundle, once it is whole, signed by its submitter, and about what was submitted. Raises EvidenceError."""
    try:
        archive = read_regular(job.bundle_path, limit_bytes=LIMITS.bytes)
    except OSError as error:
        raise UnreadableError(f"the bundle cannot be read: {error.strerror}") from error
    if digest_of(archive) != job.bundle:
        # It was right when it arrived: this is our disk's fault, not the submitter's.
        raise UnreadableError("the bundle was changed on this clearinghouse's disk")
    bundle = examine(unpack_files(archive, "the bundle"), TrustedKeys(PublicKey.parse(line) for line in job.keys))
    if not bundle.signature.trusted:
        raise EvidenceError(f"the bundle is signed by {bundle.signature.keyid}, which is no active key of its submitter")
    if bundle.source.folder and bundle.source.kind is SourceKind.package:
        # It would be replayed from the package's root, and handed out as told from somewhere else.
        raise EvidenceError("a package has no folder that was taken of it")
    patch, verdict = bundle.patch, bundle.verdict
    if patch is None or verdict is None:
        raise EvidenceError("the bundle has no patch to hand over")
    try:
        patch_id = handed(bundle.source, patch).id
    except PatchError as error:
        raise EvidenceError(f"the bundle's patch cannot be handed over: {error.message}") from error
    if patch_id != job.patch_id or Submission.identify(bundle.source, bundle.finding, patch, verdict) != job.submission_id:
        raise EvidenceError("the bundle is about another patch than was submitted")
    _agrees(job, bundle)
    return bundle


def _agrees(job: Job, bundle: Bundle) -> None:
    """Raise EvidenceError where the submission says of the flaw what its bundle does not."""
    said = job.flaw.as_json()
    try:
        told = flaw_of(bundle.source, bundle.finding, said["project"])
        if bundle.source.kind is not SourceKind.path and normalised(bundle.source.uri) != said["project"]:
            raise EvidenceError(f"the bundle is about {bundle.source.uri[:200]}, not {said['project'][:200]}")
    except ValueError as error:
        raise EvidenceError("the bundle names no project that is known") from error
    _names_its_version(bundle.source)
    for name in ("version", "path", "snippet", "cwe", "severity"):
        if json.dumps(said[name]) != json.dumps(told[name]):
            raise EvidenceError(f"the submission's {name} is not the bundle's")
    if said["commit"] not in ("", told["commit"]):
        raise EvidenceError("the submission's commit is not the bundle's")
    if extra := sorted(set(said["aliases"]) - set(told["aliases"])):
        raise EvidenceError(f"the submission names {extra[0][:100]}, the bundle does not")


def _names_its_version(source: Source) -> None:
    """Raise EvidenceError where the version that is told is not the one that is fetched and replayed."""
    if source.kind is SourceKind.package:
        try:
            wanted = read_target(source.uri)
        except SourceError as error:
            raise EvidenceError(f"the bundle is about {source.uri[:200]}, which is no package") from error
        fetched = wanted.version if isinstance(wanted, PackageTarget) else ""
    else:
        # A repository is known by its commit: no release can be shown to be in it.
        fetched = ""
    if source.version != fetched:
        raise EvidenceError(f"the bundle says version {source.version[:100]!r}, and its source is {source.uri[:200]}")


class UnreadableError(Exception):
    """The bundle that was received is not there any more as it was received."""


class UnfetchableError(Exception):
    """The source is nowhere where this clearinghouse may fetch it."""


def fetchable(bundle: Bundle, policy: Policy, project: str) -> str:
    """Return where the base is fetched from. A stranger must not choose a host of ours: only what the operator listed is asked.

    A work tree, or a folder of one, is looked for in the repository that was named as its project, at the commit that it stood on. That it
    is there is shown by its tree, and by nothing that was said.
    """
    uri, kind = bundle.source.uri, bundle.source.kind
    if kind is SourceKind.path:
        if project.startswith("pkg:") or not _COMMIT.fullmatch(bundle.source.revision):
            raise UnfetchableError("a folder is fetched by nobody else, unless it is one of a repository, at a commit of it")
        uri, kind = f"https://{project}", SourceKind.git
    if not uri.isprintable() or " " in uri:
        # What splits an address leaves such characters out, and what fetches it may not.
        raise UnfetchableError("the source's address has characters that no address has")
    if kind is SourceKind.package and uri.startswith("pkg:pypi/"):
        return uri
    try:
        parts = urlsplit(uri)
        plain = parts.scheme == "https" and not parts.username and parts.port in (None, 443)
    except ValueError as error:
        raise UnfetchableError(f"{uri[:200]} is no address") from error
    if kind is SourceKind.git and plain and (parts.hostname or "") in policy.git_hosts:
        return uri
    raise UnfetchableError(f"{uri[:200]} is not fetched by this clearinghouse")
