"""Which URLs and revisions are accepted, and how one commit is fetched from a server."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from urllib.parse import urlsplit

from remediator.errors import GitError
from remediator.git_command import Git, Output
from remediator.git_published import check_published
from remediator.redact import Redactor, printable

_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_SCP = re.compile(r"(?:([^@/:\s]+)@)?([^@/:\s]+):(?!//)(.+)", re.DOTALL)
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@+#%=,-]*")
_OBJECT = re.compile(r"[0-9a-f]{40}")
_SHORT = re.compile(r"[0-9a-f]{7,39}")
_NETWORK = {
    "HTTPS_PROXY": "HTTPS_PROXY",
    "https_proxy": "https_proxy",
    "HTTP_PROXY": "HTTP_PROXY",
    "http_proxy": "http_proxy",
    "ALL_PROXY": "ALL_PROXY",
    "all_proxy": "all_proxy",
    "NO_PROXY": "NO_PROXY",
    "no_proxy": "no_proxy",
    "SSH_AUTH_SOCK": "SSH_AUTH_SOCK",
    "GIT_SSH_COMMAND": "GIT_SSH_COMMAND",
    "HOME": "HOME",
    "GIT_SSL_CAINFO": "GIT_SSL_CAINFO",
}
_LONGEST_USER = 39
_TRUST_STORE = ("GIT_SSL_CAINFO", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT")


def check_url(url: str) -> str:
    """Return the URL where it is one that may be fetched from. Raises GitError."""
    shown = printable(Redactor()(url))
    if not url or url.startswith("-") or any(char.isspace() or not char.isprintable() for char in url):
        raise GitError(f"{shown!r} is no address of a repository", hint="use https://host/path or ssh://user@host/path")
    if "::" in url.split("/", 1)[0]:
        raise GitError(f"{shown!r} names a remote helper, which would run a program", hint="use https://host/path or ssh://user@host/path")
    if "://" not in url:
        return _check_scp(url, shown)
    parts = urlsplit(url)
    if parts.scheme not in ("https", "ssh"):
        raise GitError(f"{shown!r} uses {parts.scheme}, which is not accepted", hint="use https or ssh, or the path of a local repository")
    if parts.password is not None:
        raise GitError(f"{shown!r} holds a password, which would show in logs", hint="use an SSH agent, or ~/.netrc for https")
    if Redactor()(url) != url or (parts.scheme == "https" and len(parts.username or "") > _LONGEST_USER):
        raise GitError(
            f"{parts.scheme}://… holds what looks like a token, which would show in logs", hint="use an SSH agent, or ~/.netrc for https"
        )
    if not _HOST.fullmatch(_host(parts.netloc)) or (parts.username is not None and not _USER.fullmatch(parts.username)):
        raise GitError(f"{shown!r} has no acceptable host or user name")
    if not parts.path.strip("/") or parts.fragment or parts.path.startswith("/-"):
        raise GitError(f"{shown!r} has no acceptable path")
    return url


def is_scp_like(target: str) -> bool:
    """Return whether this reads as `user@host:path`."""
    match = _SCP.fullmatch(target)
    return bool(match and match[1] and _HOST.fullmatch(match[2]))


def check_revision(revision: str) -> str:
    """Return the revision where it is a plain branch, tag or commit. Raises GitError."""
    if (
        not _REVISION.fullmatch(revision)
        or ".." in revision
        or "@{" in revision
        or "//" in revision
        or revision.endswith((".", ".lock", "/"))
    ):
        raise GitError(f"{printable(revision)!r} is no branch, tag or commit", hint="name a branch, a tag, or a commit's full id")
    return revision


def fetch_commit(git: Git, url: str, revision: str | None, env: Mapping[str, str], *, pack_bytes: int, strict: bool = False) -> str:
    """Fetch one commit without its history; return its id. Raises GitError.

    `strict`: from that very host or not at all, and only what a branch or a tag of the repository has; else UnpublishedError.
    """
    url = check_url(url)
    wanted = check_revision(revision) if revision else "HEAD"
    ref = f"refs/fetched/{uuid.uuid4().hex}"
    git = git.where(**network_environment(env))
    if strict:
        git = git.configured("http.followRedirects=false")
    output = _fetch(git, url, f"{wanted}:{ref}", pack_bytes, "--depth=1")
    if output.code and b"shallow" in output.stderr:
        output = _fetch(git, url, f"{wanted}:{ref}", pack_bytes)
    if output.code and revision and _SHORT.fullmatch(wanted):
        return _fetch_short(git, url, wanted, ref, pack_bytes)
    if output.code:
        raise _failure(output, url, revision)
    commit = _kept(git, ref, wanted)
    if strict:
        check_published(git, url, commit, pack_bytes=pack_bytes)
    return commit


def network_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return what git may know of the caller's environment while it talks to a server."""
    known = {ours: env[theirs] for theirs, ours in _NETWORK.items() if env.get(theirs)}
    bundle = next((env[name] for name in _TRUST_STORE if env.get(name)), "")
    if bundle:
        known["GIT_SSL_CAINFO"] = bundle
    known.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    return {**known, "GIT_ALLOW_PROTOCOL": "https:ssh"}


def _fetch(git: Git, url: str, refspec: str, pack_bytes: int, *options: str) -> Output:
    fixed = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-maintenance", "--force")
    return git.run("fetch", *fixed, *options, "--", url, refspec, timeout_seconds=1800, file_bytes=pack_bytes)


def _fetch_short(git: Git, url: str, short: str, ref: str, pack_bytes: int) -> str:
    # A server gives objects by full id only: the history of all branches and tags is searched for the abbreviation.
    output = _fetch(git, url, f"refs/heads/*:{ref}/heads/*", pack_bytes)
    if not output.code:
        output = _fetch(git, url, f"refs/tags/*:{ref}/tags/*", pack_bytes)
    if output.code:
        raise _failure(output, url, short)
    found = git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{short}^{{commit}}")
    if found.code:
        raise GitError(f"{printable(url)} has no branch, tag or commit {short!r}, or several", hint="name a commit's full id")
    return found.stdout.decode("ascii").strip()


def _kept(git: Git, ref: str, wanted: str) -> str:
    found = git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    commit = found.stdout.decode("ascii").strip()
    if found.code or not _OBJECT.fullmatch(commit):
        raise GitError(f"{printable(wanted)!r} is not a commit", hint="name a branch, a tag, or a commit's full id")
    git.call("update-ref", f"refs/kept/{commit}", commit)
    git.call("update-ref", "-d", ref)
    return commit


def _failure(output: Output, url: str, revision: str | None) -> GitError:
    what = f"{printable(url)}" + (f" at {printable(revision)!r}" if revision else "")
    if output.code < 0:
        return GitError(f"{what} cannot be fetched: the repository is larger than we accept")
    return GitError(f"{what} cannot be fetched: {output.complaint}", hint="check the address, the revision, and your access to it")


def _host(netloc: str) -> str:
    host = netloc.rpartition("@")[2]
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _check_scp(url: str, shown: str) -> str:
    match = _SCP.fullmatch(url)
    if not match or not match[1] or not _HOST.fullmatch(match[2]) or not _USER.fullmatch(match[1]) or match[3].startswith("-"):
        raise GitError(f"{shown!r} is no address of a repository", hint="use https://host/path, ssh://user@host/path or user@host:path")
    return url
