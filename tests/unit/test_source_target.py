from __future__ import annotations

from pathlib import Path

import pytest

from remediator.errors import SourceError
from remediator.source.resolve import store_folder
from remediator.source.target import FolderTarget, LocalGitTarget, PackageTarget, RemoteGitTarget, read_target


@pytest.mark.parametrize(
    ("text", "revision", "meant"),
    [
        ("pypi:Flask==1.0", None, PackageTarget("flask", "1.0")),
        ("pypi:a.b_C--d==1.0.post1+local", None, PackageTarget("a-b-c-d", "1.0.post1+local")),
        ("pkg:pypi/py-yaml@5.1?x=y#z", None, PackageTarget("py-yaml", "5.1")),
        ("pkg:pypi/x@1%2B2", None, PackageTarget("x", "1+2")),
        ("https://host/org/repo", None, RemoteGitTarget("https://host/org/repo", None)),
        ("https://host/org/repo@v1.0", None, RemoteGitTarget("https://host/org/repo", "v1.0")),
        ("https://host/org/repo.git@feature/x", None, RemoteGitTarget("https://host/org/repo.git", "feature/x")),
        ("https://host/@org/repo", None, RemoteGitTarget("https://host/@org/repo", None)),
        ("https://me@host/org/repo", "main", RemoteGitTarget("https://me@host/org/repo", "main")),
        ("git+https://host/x@v1", None, RemoteGitTarget("https://host/x", "v1")),
        ("ssh://git@host:22/x@v1", None, RemoteGitTarget("ssh://git@host:22/x", "v1")),
        ("git@host:org/repo.git", None, RemoteGitTarget("git@host:org/repo.git", None)),
        ("git@host:org/repo.git@v1", None, RemoteGitTarget("git@host:org/repo.git", "v1")),
    ],
)
def test_targets_are_understood(text: str, revision: str | None, meant: object) -> None:
    assert read_target(text, revision) == meant


@pytest.mark.parametrize(
    "text",
    [
        "pypi:", "pypi:x", "pypi:x==", "pypi:==1", "pypi:x==1 --extra-index-url y", "pypi:-x==1", "pypi:../x==1", "pypi:x==../1", "pkg:npm/x@1",
        "pkg:pypi/x", "pypi:x/y==1", "http://host/x", "git://host/x", "file:///tmp/x", "ext::sh -c id", "https://user:secret@host/x",
        "--upload-pack=x", "nowhere", "", "\0", "x" * 5000, "https://host/x@v1@", "git@-oX:y",
    ],
)  # fmt: skip
def test_what_means_nothing_is_a_clear_error(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError) as told:
        read_target(text)
    assert told.value.hint
    assert "secret" not in told.value.message
    assert "\0" not in told.value.message


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "with@sign").mkdir()
    (tmp_path / "file.py").touch()
    assert read_target(str(tmp_path)) == FolderTarget(tmp_path)
    assert read_target(f"{tmp_path}/with@sign") == FolderTarget(tmp_path / "with@sign")
    assert read_target(f"{tmp_path}@v1") == LocalGitTarget(tmp_path, "v1")
    assert read_target(str(tmp_path), "v1") == LocalGitTarget(tmp_path, "v1")
    assert read_target(f"{tmp_path}/with@sign@v1") == LocalGitTarget(tmp_path / "with@sign", "v1")
    with pytest.raises(SourceError, match="single file"):
        read_target(str(tmp_path / "file.py"))
    with pytest.raises(SourceError, match="name one|are named"):
        read_target(f"{tmp_path}@v1", "v2")


def test_revision_of_a_package_is_refused() -> None:
    with pytest.raises(SourceError, match="no revisions"):
        read_target("pypi:x==1", "v1")


def test_each_source_has_its_own_store(tmp_path: Path) -> None:
    uris = ["pkg:pypi/a@1", "pkg:pypi/a@1.0", "/a/b", "/a-b", "https://h/a", "x" * 500, "\udcff"]
    folders = [store_folder(tmp_path, uri) for uri in uris]
    assert len(set(folders)) == len(uris)
    assert all(folder.parent == tmp_path and len(folder.name) < 80 and folder.name.isascii() for folder in folders)
