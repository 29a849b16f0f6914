from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remediator.contracts import Tree
from remediator.engine.replay import OwnWay, Replayer
from remediator.errors import GitError, SourceError, UnpublishedError, UsageError
from remediator.evidence.base import Base
from remediator.evidence.replay import ReplayRequest
from remediator.git import GitStore, TreeLimits
from remediator.git_remote import fetch_commit
from remediator.records import EvidenceLevel, Finding, Patch, Severity, Source, SourceKind
from remediator.settings import load_settings
from remediator.source import resolve

from ..git_server import Server, git, make_certificate


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "root/repo.git"
    work = tmp_path / "work"
    git(tmp_path, "init", "-q", "-b", "main", str(work))
    for number in range(3):
        (work / "f").write_text(f"{number}\n")
        git(work, "add", "-A")
        git(work, "commit", "-qm", str(number))
    git(work, "tag", "-a", "v1", "-m", "x", "HEAD~1")
    git(work, "branch", "feature/x", "HEAD~2")
    git(tmp_path, "clone", "-q", "--bare", str(work), str(folder))
    return folder


@pytest.fixture
def server(repo: Path, certificate: Path) -> Iterator[Server]:
    made = Server(repo.parent, certificate)
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def env(certificate: Path) -> dict[str, str]:
    return {"SSL_CERT_FILE": str(certificate), "NO_PROXY": "localhost,127.0.0.1"}


@pytest.fixture
def store(tmp_path: Path, env: dict[str, str]) -> Iterator[GitStore]:
    opened = GitStore.open(tmp_path / "store.git", env=env)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("revision", "meant"), [(None, "main"), ("main", "main"), ("v1", "main~1"), ("feature/x", "main~2"), ("refs/heads/feature/x", "main~2")]
)
def test_one_commit_is_fetched_without_its_history(server: Server, repo: Path, store: GitStore, revision: str | None, meant: str) -> None:
    commit = store.fetch(f"{server.url}/repo.git", revision)
    assert commit == git(repo, "rev-parse", meant)
    assert store.tree(commit).read("f") == git(repo, "show", f"{meant}:f").encode() + b"\n"
    assert git(store.folder, "rev-list", commit) == commit
    assert git(store.folder, "for-each-ref", "--format=%(refname)") == f"refs/kept/{commit}"


def test_full_and_short_ids_are_fetched(server: Server, repo: Path, store: GitStore) -> None:
    old = git(repo, "rev-parse", "main~2")
    assert store.fetch(f"{server.url}/repo.git", old) == old
    assert store.fetch(f"{server.url}/repo.git", old[:8]) == old


def test_fetching_twice_and_more_revisions_into_one_store(server: Server, repo: Path, store: GitStore) -> None:
    for revision in ("main", "v1", "main", None):
        commit = store.fetch(f"{server.url}/repo.git", revision)
        assert store.tree(commit).entries()


async def test_target_with_revision_is_resolved(server: Server, repo: Path, env: dict[str, str], tmp_path: Path) -> None:
    resolved = await resolve(f"{server.url}/repo.git@v1", revision=None, folder=tmp_path / "stores", env=env)
    source = resolved.source
    assert (source.kind, source.name, source.revision) == ("git", "repo", "v1")
    assert source.uri == f"{server.url}/repo.git"
    assert source.commit == git(repo, "rev-parse", "main~1")


@pytest.mark.parametrize("revision", ["nosuch", "0" * 40, "deadbeef", "v1^{tree}", "main:f", "--depth=1", "refs/heads/*"])
def test_bad_revisions_are_errors(server: Server, store: GitStore, revision: str) -> None:
    with pytest.raises(GitError):
        store.fetch(f"{server.url}/repo.git", revision)


def test_unknown_certificate_is_refused(server: Server, tmp_path: Path) -> None:
    store = GitStore.open(tmp_path / "other.git", env={"NO_PROXY": "localhost", "GIT_SSL_NO_VERIFY": "1"})
    with pytest.raises(GitError, match="certificate"):
        store.fetch(f"{server.url}/repo.git", None)


def test_redirect_within_https_is_followed_and_to_other_protocols_is_not(server: Server, store: GitStore, repo: Path) -> None:
    server.redirects["/moved"] = f"{server.url}/repo.git"
    assert store.fetch(f"{server.url}/moved", None)
    for target in ("http://127.0.0.1:9/x", f"file://{repo}", "ext::sh -c true"):
        server.redirects["/evil"] = target
        with pytest.raises(GitError):
            store.fetch(f"{server.url}/evil", None)


def test_question_for_a_password_ends_at_once(server: Server, store: GitStore) -> None:
    began = time.monotonic()
    with pytest.raises(GitError, match="cannot be fetched"):
        store.fetch(f"{server.url}/auth", None)
    assert time.monotonic() - began < 60


def test_repository_that_is_too_large_is_refused(server: Server, repo: Path, tmp_path: Path, env: dict[str, str]) -> None:
    limits = [(TreeLimits(pack_bytes=100), "larger than we accept|cannot be fetched"), (TreeLimits(total_bytes=1), "more than 1")]
    for number, (limit, told) in enumerate(limits):
        store = GitStore.open(tmp_path / f"s{number}.git", env=env, limits=limit)
        with pytest.raises(GitError, match=told):
            store.fetch(f"{server.url}/repo.git", "main")


def test_tree_bomb_is_refused_and_does_not_fill_memory(server: Server, repo: Path, tmp_path: Path, env: dict[str, str]) -> None:
    blob = (
        subprocess.run(["git", "hash-object", "-w", "--stdin"], cwd=repo, input=b"x", capture_output=True, check=True)
        .stdout.decode()
        .strip()
    )
    entry, kind = blob, "100644 blob"
    for _ in range(10):
        listing = "".join(f"{kind} {entry}\td{number}\n" for number in range(10))
        entry = subprocess.run(["git", "mktree"], cwd=repo, input=listing.encode(), capture_output=True, check=True).stdout.decode().strip()
        kind = "040000 tree"
    commit = git(repo, "commit-tree", "-m", "bomb", entry)
    git(repo, "update-ref", "refs/heads/bomb", commit)
    store = GitStore.open(tmp_path / "s.git", env=env, limits=TreeLimits(entries=20_000))
    began = time.monotonic()
    with pytest.raises(GitError, match="printed more|more than"):
        store.fetch(f"{server.url}/repo.git", "bomb")
    with pytest.raises(GitError, match="printed more|more than"):
        store.fetch(str(repo), "bomb", local=True)
    assert time.monotonic() - began < 90


def test_tree_with_a_git_folder_is_refused_on_the_way_in(server: Server, repo: Path, store: GitStore) -> None:
    blob = (
        subprocess.run(["git", "hash-object", "-w", "--stdin"], cwd=repo, input=b"x", capture_output=True, check=True)
        .stdout.decode()
        .strip()
    )
    raw = b"100644 .git\0" + bytes.fromhex(blob)
    tree = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"], cwd=repo, input=raw, capture_output=True, check=True
    )
    git(repo, "update-ref", "refs/heads/evil", git(repo, "commit-tree", "-m", "x", tree.stdout.decode().strip()))
    for local in (False, True):
        with pytest.raises(GitError):
            store.fetch(str(repo) if local else f"{server.url}/repo.git", "evil", local=local)


@pytest.mark.parametrize("evil", [False, True])
def test_submodules_are_not_fetched_and_evil_ones_refused(server: Server, repo: Path, store: GitStore, tmp_path: Path, evil: bool) -> None:
    work = tmp_path / "work"
    text = '[submodule "m"]\n\tpath = m\n\turl = https://localhost:9/never\n'
    (work / ".gitmodules").write_text(text + ("\tupdate = !touch canary\n" if evil else ""))
    git(work, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},m")
    git(work, "add", ".gitmodules")
    git(work, "commit", "-qm", "mod")
    git(work, "push", "-q", str(repo), "main")
    if evil:
        with pytest.raises(GitError, match="gitmodulesUpdate"):
            store.fetch(f"{server.url}/repo.git", "main")
    else:
        assert store.tree(store.fetch(f"{server.url}/repo.git", "main")).find("m").mode == 0o160000


@pytest.mark.parametrize("url", ["ext::sh -c touch% canary", "--upload-pack=touch canary", "-u", "file:///", "http://localhost/x"])
def test_option_tricks_do_nothing(store: GitStore, url: str, tmp_path: Path) -> None:
    with pytest.raises(GitError):
        store.fetch(url, None)
    assert not list(tmp_path.rglob("canary"))


def test_weak_twin_of_the_address_check(store: GitStore, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediator.git_remote.check_url", lambda url: url)
    with pytest.raises(GitError, match="not allowed"):
        fetch_commit(store._git, str(repo), None, {}, pack_bytes=10**9)
    monkeypatch.setattr("remediator.git_remote.network_environment", lambda env: {"GIT_ALLOW_PROTOCOL": "file"})
    assert fetch_commit(store._git, str(repo), None, {}, pack_bytes=10**9), "with both controls off it goes through"


def test_dash_host_never_reaches_ssh(store: GitStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = tmp_path / "canary"
    script = tmp_path / "ssh"
    script.write_text(f'#!/bin/sh\necho "$@" > {canary}\nexit 1\n')
    script.chmod(0o755)
    with_ssh = GitStore.open(tmp_path / "s2.git", env={"GIT_SSH_COMMAND": str(script)})
    for url in ("ssh://-oProxyCommand=touch/x", "git@-oProxyCommand=touch:x"):
        with pytest.raises(GitError):
            with_ssh.fetch(url, None)
    assert not canary.exists()
    with contextlib.suppress(GitError):
        with_ssh.fetch("ssh://git@localhost/x", None)
    assert "git@localhost" in canary.read_text()


# -- a folder of a repository, found again at its commit ---------------------------------------------------------------


@pytest.fixture
def mono(tmp_path: Path, server: Server) -> Path:
    """A clone of a served repository with a project in a folder of it."""
    clone = tmp_path / "mono"
    git(tmp_path, "clone", "-q", str(tmp_path / "root/repo.git"), str(clone))
    (clone / "services/app").mkdir(parents=True)
    (clone / "services/app/load.py").write_text("import yaml\n")
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "app")
    git(clone, "push", "-q", "origin", "main")
    return clone


async def found_again(source: Source, url: str, tmp_path: Path, own: OwnWay = OwnWay()) -> Tree:  # noqa: B008 - a frozen value
    finding = Finding.at(rule_id="r", scanner="s", message="m", location=None, snippet="", severity=Severity.low)
    patch = Patch.of(finding_id=finding.id, fixer="f", title="t", diff="")
    request = ReplayRequest(source, Base(source.tree, source.commit, reason="left out"), finding, patch, b"", (), EvidenceLevel.E3, None)
    replayer = Replayer(load_settings(state=tmp_path / "theirs"), None, print, source=url, playbook=None, own=own)  # type: ignore[arg-type]
    return (await replayer._base(request))[1]


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch, env: dict[str, str]) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GIT_SSL_CAINFO", env["SSL_CERT_FILE"])


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("below", ["services/app", ""])
async def test_a_work_tree_or_a_folder_of_it_is_found_again_by_others(mono: Path, server: Server, tmp_path: Path, below: str) -> None:
    source = (await resolve(str(mono / below), revision=None, folder=tmp_path / "ours", env={})).source
    assert (source.kind, source.folder, source.revision) == ("path", below, git(mono, "rev-parse", "HEAD"))
    tree = await found_again(source, f"{server.url}/repo.git", tmp_path)
    assert tree.id == source.tree == git(mono, "rev-parse", f"HEAD:{below}")
    assert tree.find("load.py" if below else "services/app/load.py") is not None


@pytest.mark.usefixtures("trusting")
async def test_what_a_stranger_has_fetched_lies_where_it_can_be_removed(mono: Path, server: Server, tmp_path: Path) -> None:
    source = (await resolve(str(mono), revision=None, folder=tmp_path / "ours", env={})).source
    tree = await found_again(source, f"{server.url}/repo.git", tmp_path, OwnWay(stores=tmp_path / "once"))
    assert tree.id == source.tree
    assert list((tmp_path / "once").iterdir()) and not (tmp_path / "theirs" / "stores").exists()


@pytest.mark.usefixtures("trusting")
async def test_what_was_changed_and_not_committed_is_found_nowhere_and_is_nobodys_lie(mono: Path, server: Server, tmp_path: Path) -> None:
    (mono / "services/app/load.py").write_text("import yaml  # changed\n")
    source = (await resolve(str(mono / "services/app"), revision=None, folder=tmp_path / "ours", env={})).source
    with pytest.raises(UsageError, match="the bundle was made for"):
        await found_again(source, f"{server.url}/repo.git", tmp_path)


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("folder", ["no/such", "services/app/load.py", "../..", "/etc", "services/app:x", "services/.git", ":/", "--all"])
async def test_a_folder_that_the_commit_does_not_have_is_an_error(mono: Path, server: Server, tmp_path: Path, folder: str) -> None:
    source = (await resolve(str(mono / "services/app"), revision=None, folder=tmp_path / "ours", env={})).source
    with pytest.raises(GitError):
        await found_again(source.model_copy(update={"folder": folder}), f"{server.url}/repo.git", tmp_path)


@pytest.mark.usefixtures("trusting")
async def test_a_listed_host_sends_a_validator_nowhere_else(mono: Path, server: Server, tmp_path: Path) -> None:
    asked: list[str] = []
    source = (await resolve(str(mono), revision=None, folder=tmp_path / "ours", env={})).source
    server.redirects["/moved"] = f"{server.url}/repo.git"
    told = server.http.RequestHandlerClass.do_GET

    def noted(handler: Any) -> None:
        asked.append(handler.path)
        told(handler)

    server.http.RequestHandlerClass.do_GET = noted  # type: ignore[attr-defined]
    with pytest.raises(SourceError):
        await found_again(source, f"{server.url}/moved", tmp_path)
    assert asked and all(path.startswith("/moved") for path in asked), "the twin: whoever runs it for itself is sent on"
    assert (await resolve(f"{server.url}/moved", revision=None, folder=tmp_path / "mine", env=load_settings().network_env())).tree.id


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("lies", ["in a fork", "at a tip", "in a branch", "in a tag"])
async def test_a_forks_commit_under_its_parents_address_is_not_the_project(mono: Path, server: Server, tmp_path: Path, lies: str) -> None:
    public = Path(git(mono, "remote", "get-url", "origin"))
    git(mono, "checkout", "-q", "-b", "theirs")
    (mono / "services/app/load.py").write_text("import yaml\nimport pickle\n")
    git(mono, "commit", "-qam", "a flaw that the project never had")
    source = (await resolve(str(mono), revision=None, folder=tmp_path / "ours", env={})).source
    # As hosts of forks do: the commit is there, under a name that is no branch.
    git(mono, "push", "-q", "origin", "HEAD:refs/pull/1/head")
    if lies == "at a tip":
        git(mono, "push", "-q", "origin", "HEAD:refs/heads/theirs")
    elif lies != "in a fork":
        git(mono, "commit", "-q", "--allow-empty", "-m", "what came after")
        git(mono, "tag", "-a", "v9", "-m", "v9")
        git(mono, "push", "-q", "origin", "v9" if lies == "in a tag" else "HEAD:refs/heads/theirs")
    for kind in ("git", "path"):
        told = source.model_copy(update={"kind": SourceKind(kind), "commit": source.revision})
        if lies == "in a fork":
            with pytest.raises(UnpublishedError, match="no branch and no tag"):
                await found_again(told, f"{server.url}/{public.name}", tmp_path / kind)
        else:
            assert (await found_again(told, f"{server.url}/{public.name}", tmp_path / kind)).id == source.tree
    # Whoever runs it for itself may name what it likes.
    mine = await resolve(
        f"{server.url}/{public.name}", revision=source.revision, folder=tmp_path / "mine", env=load_settings().network_env()
    )
    assert mine.source.commit == source.revision


@pytest.mark.usefixtures("trusting")
async def test_histories_are_not_kept(mono: Path, server: Server, tmp_path: Path) -> None:
    git(mono, "commit", "-q", "--allow-empty", "-m", "what came after")
    git(mono, "push", "-q", "origin", "HEAD:main")
    source = (await resolve(str(mono), revision=None, folder=tmp_path / "ours", env={})).source
    told = source.model_copy(update={"revision": git(mono, "rev-parse", "HEAD~")})
    await found_again(told, f"{server.url}/repo.git", tmp_path)
    assert not list((tmp_path / "theirs").rglob("history-*"))
