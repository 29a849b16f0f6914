from __future__ import annotations

import os
import stat
import subprocess
import time
from pathlib import Path

import pytest

from remediator.errors import GitError
from remediator.git_command import Git, check_version
from remediator.git_remote import check_revision, check_url, network_environment


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Give a repository in which every way that git has to run a program leads to a canary."""
    folder, canary = tmp_path / "repo", tmp_path / "canary"
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\necho x >> {canary}\ncat\n")
    script.chmod(0o755)
    subprocess.run(["git", "init", "-q", folder], check=True)
    (folder / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    (folder / "f").write_text("one\n")
    plain = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run([*plain, "commit", "-qm", "m"], cwd=folder, check=True)
    for key in ("core.fsmonitor", "filter.evil.clean", "filter.evil.smudge", "diff.evil.textconv", "diff.evil.command", "diff.external",
                "core.pager", "core.editor", "core.sshCommand", "core.askPass", "credential.helper", "merge.evil.driver",
                "uploadpack.packObjectsHook", "gpg.program"):  # fmt: skip
        subprocess.run(["git", "config", key, str(script)], cwd=folder, check=True)
    for hook in ("post-checkout", "pre-commit", "post-index-change", "reference-transaction", "post-commit", "pre-auto-gc"):
        (folder / ".git/hooks").mkdir(exist_ok=True)
        (folder / ".git/hooks" / hook).symlink_to(script)
    (folder / "f").write_text("two\n")
    os.utime(folder / "f", (1, 1))
    return folder


def canary_of(folder: Path) -> Path:
    return folder.parent / "canary"


@pytest.mark.parametrize("weak", [["status"], ["diff"], ["add", "f"], ["update-ref", "refs/heads/x", "HEAD"]])
def test_weak_twin_plain_git_runs_the_canary(hostile: Path, weak: list[str]) -> None:
    subprocess.run(["git", *weak], cwd=hostile, capture_output=True, check=False)
    assert canary_of(hostile).exists()


@pytest.mark.parametrize(
    "args",
    [
        ("ls-files", "-s"),
        ("rev-parse", "HEAD"),
        ("update-ref", "refs/heads/x", "HEAD"),
        ("symbolic-ref", "HEAD", "refs/heads/x"),
        ("cat-file", "-p", "HEAD"),
        ("diff-tree", "-p", "--no-ext-diff", "--no-textconv", "--root", "HEAD"),
        ("read-tree", "HEAD"),
    ],
)
def test_our_git_runs_nothing_even_in_a_hostile_repository(hostile: Path, args: tuple[str, ...]) -> None:
    Git(hostile / ".git", env={"GIT_WORK_TREE": "/nonexistent"}).call(*args)
    assert not canary_of(hostile).exists()


def test_fsmonitor_is_off_where_git_looks_at_a_work_tree(tmp_path: Path) -> None:
    folder, canary = tmp_path / "r", tmp_path / "canary"
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\necho x >> {canary}\n")
    script.chmod(0o755)
    subprocess.run(["git", "init", "-q", folder], check=True)
    subprocess.run(["git", "config", "core.fsmonitor", str(script)], cwd=folder, check=True)
    Git(folder / ".git", env={"GIT_WORK_TREE": str(folder)}).call("status")
    assert not canary.exists()
    subprocess.run(["git", "status"], cwd=folder, check=True, capture_output=True)
    assert canary.exists(), "the weak twin: plain git runs it"


def test_configuration_in_the_home_folder_is_not_read_while_fetching(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "r"], check=True)
    (tmp_path / ".gitconfig").write_text('[url "ext::touch canary"]\n\tinsteadOf = https://\n')
    home = {"HOME": str(tmp_path)}
    assert b"insteadof" not in Git(tmp_path / "r", env=network_environment(home)).call("config", "--list")
    weak = subprocess.run(["git", "config", "--list"], cwd=tmp_path / "r", env={**os.environ, **home}, capture_output=True, check=True)
    assert b"insteadof" in weak.stdout


def test_nothing_of_our_environment_reaches_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "r"], check=True)
    config = tmp_path / "config"
    config.write_text("[alias]\n\tx = !touch canary\n[core]\n\tcommentChar = %\n")
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, str(config))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.editor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "evil")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nonexistent")
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    listed = Git(tmp_path / "r").call("config", "--list").decode()
    assert "alias.x" not in listed
    assert "core.editor" not in listed
    assert (
        "alias.x"
        in subprocess.run(
            ["git", "config", "--list"], capture_output=True, text=True, check=False, env={**os.environ, "GIT_OBJECT_DIRECTORY": ""}
        ).stdout
    )
    process = Git(tmp_path / "r").start("cat-file", "--batch")
    try:
        environment = Path(f"/proc/{process.pid}/environ").read_text()
    finally:
        process.kill()
        process.wait()
    assert "SECRET_TOKEN" not in environment


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:9/x", "ssh://localhost/x", "file:///etc", "ext::sh -c touch% canary", "http://127.0.0.1:9/x", "/tmp"]
)
def test_git_may_use_no_protocol_unless_it_fetches(tmp_path: Path, url: str) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "r"], check=True)
    output = Git(tmp_path / "r").run("fetch", "--", url, "HEAD")
    assert output.code != 0
    assert b"not allowed" in output.stderr


@pytest.mark.parametrize("url", ["file:///etc", "ext::sh -c true", "http://127.0.0.1:9/x", "git://127.0.0.1:9/x", "fd::3"])
def test_fetching_allows_https_and_ssh_only(tmp_path: Path, url: str) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "r"], check=True)
    output = Git(tmp_path / "r", env=network_environment({})).run("fetch", "--", url, "HEAD")
    assert b"not allowed" in output.stderr


def test_time_out_ends_git_and_all_that_it_started(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "r"], check=True)
    started = tmp_path / "started"
    began = time.monotonic()
    with pytest.raises(GitError, match="did not end"):
        Git(tmp_path / "r").run("-c", f"alias.x=!sh -c 'echo $$ >{started}; sleep 60; :' & sleep 60", "x", timeout_seconds=2)
    assert time.monotonic() - began < 40
    child, end = Path("/proc", started.read_text().strip(), "stat"), time.monotonic() + 30
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < end, "what git started goes on"
        time.sleep(0.02)


def test_output_over_the_cap_is_an_error_not_a_short_answer(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "r"], check=True)
    with pytest.raises(GitError, match="printed more"):
        Git(tmp_path / "r").run("-c", "alias.x=!yes", "x", output_bytes=1000, timeout_seconds=30)


def test_complaints_are_safe_to_show(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "r"], check=True)
    output = Git(tmp_path / "r").run("-c", "alias.x=!printf '\\033[2Jhttps://user:secret@host/' >&2; exit 3", "x")
    assert output.code == 3
    assert "\x1b" not in output.complaint
    assert "secret" not in output.complaint


@pytest.mark.parametrize(("said", "fits"), [("git version 2.39.5", True), ("git version 3.0.0", True), ("git version 2.38.0", True),
                                            ("git version 2.37.9", False), ("git version 1.9", False), ("", False), ("hub 2.99", False)])  # fmt: skip
def test_version_floor(said: str, fits: bool) -> None:
    if fits:
        check_version(said)
    else:
        with pytest.raises(GitError, match="too old"):
            check_version(said)


GOOD = [
    "https://host/org/repo",
    "https://host:8443/org/repo.git",
    "https://user@host/x",
    "ssh://git@host:22/x",
    "git@host:org/repo.git",
    "https://[::1]/x",
]
BAD = [
    "", "-x", "--upload-pack=touch x", "ext::sh -c id", "fd::1", "transport::address", "http://host/x", "git://host/x", "file:///x", "ftp://host/x",
    "https://-oProxyCommand=x/y", "ssh://-oProxyCommand=x/y", "ssh://-oX@host/x", "https://user:secret@host/x",
    "https://ghp_secretsecretsecretsecret1234@host/x",
    "https://" + "secret" * 8 + "@host/x", "https://host", "https://host/",
    "https://ho st/x", "https://host/x\ny", "https://host/\x1b[2J", "git@-oX:x", "-oX@host:x", "git@host:-x", "host:x", "https://host/x#y",
    "https://host/-x", "ssh://git@host/-oX",
]  # fmt: skip


@pytest.mark.parametrize("url", GOOD)
def test_good_addresses_are_taken(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize("url", BAD)
def test_bad_addresses_are_refused_without_their_secrets(url: str) -> None:
    with pytest.raises(GitError) as told:
        check_url(url)
    assert "secret" not in told.value.message
    assert "\x1b" not in told.value.message


@pytest.mark.parametrize(
    "revision",
    ["-x", "--all", "a..b", "a:b", "+a", "^a", "a b", "a\nb", "@{u}", "a@{1}", "", "/a", "a.lock", "a//b", "a/", ":/fix", "a~1", "*"],
)
def test_bad_revisions_are_refused(revision: str) -> None:
    with pytest.raises(GitError):
        check_revision(revision)


def test_network_environment_passes_only_what_is_needed() -> None:
    env = network_environment(
        {"SSL_CERT_FILE": "/ca", "LD_PRELOAD": "/x", "GIT_SSL_NO_VERIFY": "1", "HTTPS_PROXY": "http://p", "PIP_INDEX_URL": "u"}
    )
    assert env["GIT_SSL_CAINFO"] == "/ca"
    assert env["HTTPS_PROXY"] == "http://p"
    assert not env.keys() & {"LD_PRELOAD", "GIT_SSL_NO_VERIFY", "PIP_INDEX_URL"}


def test_program_is_not_taken_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from remediator.git_command import git_program

    evil = tmp_path / "git"
    evil.write_text("#!/bin/sh\necho git version 9.9\n")
    evil.chmod(evil.stat().st_mode | stat.S_IXUSR)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f".:{os.environ['PATH']}")
    git_program.cache_clear()
    assert git_program() != evil
    assert git_program().is_absolute()
