from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import SourceError
from remediator.source import Resolved, resolve
from remediator.source import index as indexes

JSON = "application/vnd.pypi.simple.v1+json"


def sdist(name: str = "demo-1.0") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for path, data in ((f"{name}/setup.py", b"raise SystemExit('this ran on the host')\n"), (f"{name}/demo.py", b"x = 1\n")):
            info = tarfile.TarInfo(path)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return out.getvalue()


class FakeIndex:
    """A real HTTP server on the loopback that speaks the simple API."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[str] = []
        self.credentials: list[str] = []
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                index.credentials += self.headers.get_all("Authorization", [])
                answer = index.answers.get(self.path)
                if answer is None:
                    self.send_error(404)
                else:
                    answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def bytes(self, path: str, data: bytes, kind: str = "application/octet-stream") -> None:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Type", kind)
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)

        self.answers[path] = answer

    def redirect(self, path: str, target: str) -> None:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(302)
            handler.send_header("Location", target)
            handler.end_headers()

        self.answers[path] = answer

    def project(self, *files: dict[str, Any], name: str = "demo") -> None:
        page = {"meta": {"api-version": "1.1"}, "name": name, "files": list(files), "versions": []}
        self.bytes(f"/simple/{name}/", json.dumps(page).encode(), JSON)

    def file(self, filename: str, data: bytes, **facts: Any) -> dict[str, Any]:
        self.bytes(f"/files/{filename}", data)
        known = {"sha256": hashlib.sha256(data).hexdigest()}
        return {
            "filename": filename,
            "url": f"../../files/{filename}",
            "hashes": known,
            "size": len(data),
            "upload-time": "2019-05-06T07:08:09.5Z",
            **facts,
        }


@pytest.fixture
def index() -> Iterator[FakeIndex]:
    made = FakeIndex()
    yield made
    made.server.shutdown()
    made.server.server_close()


async def get(index: FakeIndex, tmp_path: Path, target: str = "pypi:Demo==1.0", **env: str) -> Resolved:
    return await resolve(target, revision=None, folder=tmp_path / "stores", env={"PIP_INDEX_URL": index.url, **env})


async def test_source_archive_is_fetched_checked_and_unpacked(index: FakeIndex, tmp_path: Path) -> None:
    data = sdist()
    index.project(
        index.file("demo-1.0-py3-none-any.whl", b"wheel"), index.file("demo-1.0.tar.gz", data), index.file("demo-2.0.tar.gz", b"other")
    )
    resolved = await get(index, tmp_path)
    source = resolved.source
    assert (source.uri, source.name, source.version) == ("pkg:pypi/demo@1.0", "demo", "1.0")
    assert source.archive_digest == "sha256:" + hashlib.sha256(data).hexdigest()
    assert source.released == datetime(2019, 5, 6, 7, 8, 9, 500000, tzinfo=UTC)
    assert [entry.path for entry in resolved.tree.entries()] == ["demo.py", "setup.py"]
    assert index.asked == ["/simple/demo/", "/files/demo-1.0.tar.gz"]
    assert (await get(index, tmp_path)).source == source


@pytest.mark.parametrize("version", ["1", "1.0.0", "v1.0", "1.0.0.0"])
async def test_versions_are_compared_as_versions(index: FakeIndex, tmp_path: Path, version: str) -> None:
    index.project(index.file("demo-1.0.tar.gz", sdist()))
    assert (await get(index, tmp_path, f"pypi:demo=={version}")).tree.read("demo.py") == b"x = 1\n"


async def test_other_content_than_the_index_says_is_refused(index: FakeIndex, tmp_path: Path) -> None:
    index.project(index.file("demo-1.0.tar.gz", sdist(), hashes={"sha256": "0" * 64}))
    with pytest.raises(SourceError, match="not what the index says"):
        await get(index, tmp_path)


@pytest.mark.parametrize("hashes", [{}, {"md5": "x"}])
async def test_archive_without_a_digest_is_refused(index: FakeIndex, tmp_path: Path, hashes: dict[str, str]) -> None:
    index.project(index.file("demo-1.0.tar.gz", sdist(), hashes=hashes))
    with pytest.raises(SourceError, match="no sha256"):
        await get(index, tmp_path)
    assert index.asked == ["/simple/demo/"]


async def test_missing_archive_version_and_package_are_told_apart(index: FakeIndex, tmp_path: Path) -> None:
    index.project(
        index.file("demo-1.0-py3-none-any.whl", b"wheel"), index.file("demo-0.9.tar.gz", sdist()), index.file("demo-0.10.tar.gz", sdist())
    )
    with pytest.raises(SourceError, match=r"without a source archive \(there is: wheel\)") as told:
        await get(index, tmp_path)
    assert "git repository" in told.value.hint
    with pytest.raises(SourceError, match="no version 3") as told:
        await get(index, tmp_path, "pypi:demo==3")
    assert told.value.hint.endswith("0.9, 0.10")
    with pytest.raises(SourceError, match="no package 'other'"):
        await get(index, tmp_path, "pypi:other==1")


async def test_archive_of_a_kind_that_we_do_not_unpack(index: FakeIndex, tmp_path: Path) -> None:
    index.project(index.file("demo-1.0.tar.Z", b"old"))
    with pytest.raises(SourceError, match="kind that we do not unpack"):
        await get(index, tmp_path)


async def test_zip_is_taken_where_there_is_no_tar(index: FakeIndex, tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("demo-1.0/demo.py", "z = 1\n")
    index.project(index.file("demo-1.0.zip", out.getvalue()))
    assert (await get(index, tmp_path)).tree.read("demo.py") == b"z = 1\n"


async def test_yanked_version_and_unknown_release_are_noted(index: FakeIndex, tmp_path: Path) -> None:
    entry = index.file("demo-1.0.tar.gz", sdist(), yanked="broken \x1b[2J build")
    del entry["upload-time"]
    index.project(entry)
    source = (await get(index, tmp_path)).source
    notes = " | ".join(source.notes)
    assert "this version was yanked: broken \\x1b[2J build" in notes
    assert "does not say when" in notes
    assert source.released is None


@pytest.mark.parametrize("address", ["http://192.0.2.1/simple/", "ftp://192.0.2.1/", "file:///etc/"])
async def test_index_without_https_is_refused(index: FakeIndex, tmp_path: Path, address: str) -> None:
    with pytest.raises(SourceError, match="not an https address"):
        await get(index, tmp_path, PIP_INDEX_URL=address)


@pytest.mark.parametrize("address", ["http://192.0.2.1/demo-1.0.tar.gz", "file:///etc/passwd"])
async def test_archive_at_an_address_without_https_is_refused(index: FakeIndex, tmp_path: Path, address: str) -> None:
    index.project(index.file("demo-1.0.tar.gz", sdist(), url=address))
    with pytest.raises(SourceError, match="not an https address"):
        await get(index, tmp_path)


async def test_redirects_end(index: FakeIndex, tmp_path: Path) -> None:
    index.redirect("/simple/demo/", "/simple/demo/")
    with pytest.raises(SourceError, match="redirects"):
        await get(index, tmp_path)
    assert len(index.asked) < 10


async def test_redirect_to_an_address_without_https_is_refused(index: FakeIndex, tmp_path: Path) -> None:
    index.redirect("/simple/demo/", "http://192.0.2.1/simple/demo/")
    with pytest.raises(SourceError, match="https"):
        await get(index, tmp_path)


async def test_page_that_does_not_end_is_cut(index: FakeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "_PAGE_BYTES", 10_000)
    index.bytes("/simple/demo/", b"[" * 100_000, JSON)
    with pytest.raises(SourceError, match="more than 10000"):
        await get(index, tmp_path)


@pytest.mark.parametrize(
    ("data", "kind"), [(b"rubbish", JSON), (b"[]", JSON), (b"x", "text/plain"), (b'{"meta":{"api-version":"9.0"},"files":[]}', JSON)]
)
async def test_index_that_talks_nonsense_is_an_error(index: FakeIndex, tmp_path: Path, data: bytes, kind: str) -> None:
    index.bytes("/simple/demo/", data, kind)
    with pytest.raises(SourceError, match="cannot be read"):
        await get(index, tmp_path)


async def test_archive_that_is_shorter_than_promised_is_an_error(index: FakeIndex, tmp_path: Path) -> None:
    data = sdist()
    index.project(index.file("demo-1.0.tar.gz", data))
    index.bytes("/files/demo-1.0.tar.gz", data[:-30])
    with pytest.raises(SourceError, match="not what the index says"):
        await get(index, tmp_path)


async def test_hostile_archive_keeps_nothing(index: FakeIndex, tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for name in ("demo-1.0/ok", "demo-1.0/../../../../tmp/evil"):
            made.addfile(tarfile.TarInfo(name), io.BytesIO())
    index.project(index.file("demo-1.0.tar.gz", out.getvalue()))
    with pytest.raises(SourceError, match="leads outside"):
        await get(index, tmp_path)


async def test_password_of_the_index_is_not_told(index: FakeIndex, tmp_path: Path) -> None:
    address = index.url.replace("http://", "http://me:sesame99@")
    index.server.shutdown()
    index.server.server_close()
    with pytest.raises(SourceError) as told:
        await get(index, tmp_path, PIP_INDEX_URL=address)
    assert "sesame99" not in told.value.message


async def test_environment_of_the_process_does_not_decide(index: FakeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    index.project(index.file("demo-1.0.tar.gz", sdist()))
    assert (await get(index, tmp_path)).tree.entries()
    with pytest.raises(SourceError):
        await get(index, tmp_path, HTTP_PROXY="http://127.0.0.1:9")
    assert (await get(index, tmp_path, HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="127.0.0.1")).tree.entries()


async def test_passwords_of_the_user_are_not_sent(index: FakeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password sesame99\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    elsewhere = f"http://localhost:{index.server.server_port}/files/demo-1.0.tar.gz"
    index.project(index.file("demo-1.0.tar.gz", sdist(), url=elsewhere))
    await get(index, tmp_path)
    assert index.credentials == []
    await get(index, tmp_path, PIP_INDEX_URL=index.url.replace("http://", "http://me:own@"))
    assert len(index.credentials) == 1, "what the operator put into the index's address is sent to it, and to no other host"


@pytest.mark.network
async def test_published_package_comes_from_the_real_index(tmp_path: Path) -> None:
    from remediator.settings import Settings

    env = Settings().network_env()
    resolved = await resolve("pypi:untangle==1.1.1", revision=None, folder=tmp_path, env=env)
    assert resolved.source.archive_digest == "sha256:e7cfa1ad57707e6b74cfea8b9fc50f7cbe9bbaf18401cc9d72192002bcd80bcb"
    assert resolved.tree.find("untangle.py")
