from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import stat
import struct
import tarfile
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from remediator.errors import SourceError
from remediator.git_import import ImportedFile
from remediator.source import archive as archives
from remediator.source.archive import open_archive


def member(name: str, data: bytes = b"x", **facts: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data) if facts.get("type", tarfile.REGTYPE) == tarfile.REGTYPE else 0
    for key, value in facts.items():
        setattr(info, key, value)
    return info, data


def tar(*members: tuple[tarfile.TarInfo, bytes], packing: str = "gz", **options: Any) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{packing}", **options) as made:
        for info, data in members:
            made.addfile(info, io.BytesIO(data))
    out.seek(0)
    return out


def zipped(*members: tuple[str, bytes, int]) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            made.writestr(info, data)
    out.seek(0)
    return out


def unpacked(file: io.BytesIO, name: str = "p-1.tar.gz") -> tuple[dict[str, ImportedFile], list[str]]:
    archive = open_archive(file, name)
    return {item.path: item for item in archive.files()}, archive.notes


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
def test_top_folder_is_stripped_and_modes_are_kept(packing: str) -> None:
    file = tar(member("p-1/setup.py"), member("p-1/run", mode=0o6755), member("./p-1/src/a.py", b"y"), packing=packing)
    files, notes = unpacked(file, f"p-1.tar.{packing}")
    assert {path: (item.mode, item.data) for path, item in files.items()} == {
        "setup.py": (0o100644, b"x"), "run": (0o100755, b"x"), "src/a.py": (0o100644, b"y"),
    }  # fmt: skip
    assert notes == []


def test_zip_is_read_alike() -> None:
    file = zipped(
        ("p-1/", b"", 0o40755), ("p-1/a.py", b"x", 0o100644), ("p-1/run", b"y", 0o100755), ("p-1/l", b"a.py", stat.S_IFLNK | 0o777)
    )
    files, _ = unpacked(file, "p-1.zip")
    assert {path: (item.mode, item.data) for path, item in files.items()} == {
        "a.py": (0o100644, b"x"), "run": (0o100755, b"y"), "l": (0o120000, b"a.py"),
    }  # fmt: skip


def test_several_top_folders_are_kept() -> None:
    files, _ = unpacked(tar(member("a/x"), member("b/y")))
    assert set(files) == {"a/x", "b/y"}


def test_undecodable_and_odd_names_are_kept() -> None:
    files, _ = unpacked(tar(member("p/b\udcff"), member("p/new\nline\x1b[2J"), format=tarfile.GNU_FORMAT, errors="surrogateescape"))
    assert set(files) == {"b\udcff", "new\nline\x1b[2J"}


def test_long_names_of_both_formats() -> None:
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        name = "p/" + "/".join(["d" * 60] * 8)
        assert set(unpacked(tar(member(name), format=kind))[0]) == {name[2:]}


@pytest.mark.parametrize("name", ["/etc/passwd", "p/../../x", "../x", "p/../../../etc/x", "C:/x", "p/.."])
@pytest.mark.parametrize("make", ["tar", "zip"])
def test_names_that_lead_outside_refuse_the_archive(name: str, make: str) -> None:
    file = tar(member(name), member("p/ok")) if make == "tar" else zipped((name, b"x", 0o100644), ("p/ok", b"x", 0o100644))
    with pytest.raises(SourceError, match="leads outside"):
        unpacked(file, "p.tar.gz" if make == "tar" else "p.zip")


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_refuse_the_archive(kind: bytes) -> None:
    with pytest.raises(SourceError, match="special file"):
        unpacked(tar(member("p/dev", type=kind)))


def test_special_files_in_zip_refuse_the_archive() -> None:
    with pytest.raises(SourceError, match="special file"):
        unpacked(zipped(("p/dev", b"", stat.S_IFCHR | 0o644)), "p.zip")


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd", "../..", "a/../../../x"])
def test_links_that_lead_outside_are_left_out_and_noted(target: str) -> None:
    files, notes = unpacked(tar(member("p/ok"), member("p/l", type=tarfile.SYMTYPE, linkname=target)))
    assert set(files) == {"ok"}
    assert "leads outside" in notes[0]


def test_link_chain_that_leads_outside_is_left_out() -> None:
    links = [("p/a/b/c/l", "../../../top"), ("p/trick", "a/b/c/l/../../etc")]
    files, notes = unpacked(
        tar(member("p/top/x"), member("p/a/b/c/f"), *(member(name, type=tarfile.SYMTYPE, linkname=to) for name, to in links))
    )
    assert "a/b/c/l" in files
    assert "trick" not in files
    assert len(notes) == 1


def test_file_written_through_a_link_refuses_the_archive() -> None:
    with pytest.raises(SourceError, match="both as a file and as a folder"):
        unpacked(tar(member("p/ok"), member("p/d", type=tarfile.SYMTYPE, linkname="/tmp"), member("p/d/evil")))


def test_hard_links_give_the_content_or_are_left_out() -> None:
    files, notes = unpacked(
        tar(
            member("p/real", b"data"),
            member("p/hard", type=tarfile.LNKTYPE, linkname="p/real"),
            member("p/out", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
            member("p/up", type=tarfile.LNKTYPE, linkname="../../etc/passwd"),
        )
    )
    assert {path: item.data for path, item in files.items()} == {"real": b"data", "hard": b"data"}
    assert len(notes) == 2


def test_git_folder_in_the_archive_is_left_out() -> None:
    files, notes = unpacked(tar(member("p/a"), member("p/.git/config", b"[core]\n fsmonitor = evil"), member("p/.GIT/hooks/x")))
    assert set(files) == {"a"}
    assert len(notes) == 2


def test_of_members_with_one_name_the_last_counts() -> None:
    files, _ = unpacked(tar(member("p/a", b"first"), member("p/b"), member("p/a", b"second")))
    assert files["a"].data == b"second"


def sparse() -> io.BytesIO:
    return tar(member("p/a"), member("p/s", type=tarfile.GNUTYPE_SPARSE))


def huge_header(kind: bytes) -> Callable[[], io.BytesIO]:
    def make() -> io.BytesIO:
        info = tarfile.TarInfo("././@LongLink")
        info.type, info.size = kind, 8 * 1024**3
        return io.BytesIO(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + b"a" * 10240))

    return make


def bomb(packing: Callable[[bytes], bytes]) -> Callable[[], io.BytesIO]:
    def make() -> io.BytesIO:
        info = tarfile.TarInfo("p/zeros")
        info.size = 80 * 1024 * 1024
        return io.BytesIO(packing(info.tobuf() + b"\0" * (info.size + 10240)))

    return make


def declared() -> io.BytesIO:
    info = tarfile.TarInfo("p/zeros")
    info.size = 8 * 1024**4
    return io.BytesIO(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 10240))


@pytest.mark.parametrize(
    "make",
    [sparse, huge_header(tarfile.GNUTYPE_LONGNAME), huge_header(tarfile.XHDTYPE), huge_header(tarfile.XGLTYPE), declared,
     bomb(lambda data: gzip.compress(data, 1)), bomb(lambda data: lzma.compress(data, preset=0))],
)  # fmt: skip
def test_bombs_are_refused_quickly(make: Callable[[], io.BytesIO]) -> None:
    file = make()
    began = time.monotonic()
    name = "p.tar.xz" if file.getvalue().startswith(b"\xfd7z") else "p.tar.gz"
    with pytest.raises(SourceError):
        unpacked(file, name)
    assert time.monotonic() - began < 60


def test_bomb_of_many_members_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_ENTRIES", 100)
    with pytest.raises(SourceError, match="more than 100 members"):
        unpacked(tar(*(member(f"p/{number}") for number in range(101))))


def test_stream_that_goes_on_after_its_members_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_TOTAL", 10_000)
    monkeypatch.setattr(archives, "_ENTRIES", 20)
    folders = [member(f"p/{number}", type=tarfile.DIRTYPE) for number in range(9)]
    hidden = member("p/skip", b"z" * 9000)
    unpacked(tar(*folders, hidden))
    with pytest.raises(SourceError):
        unpacked(tar(*folders, hidden, member("p/more", b"z" * 9000)))


def test_zip_bomb_is_refused() -> None:
    with pytest.raises(SourceError, match="unpacks to more"):
        unpacked(zipped(("p/zeros", b"\0" * 100_000_000, 0o100644)), "p.zip")


def test_zip_that_lies_about_its_sizes_is_refused() -> None:
    data = bytearray(zipped(("p/a", b"\0" * 10_000, 0o100644)).getvalue())
    central = data.index(b"PK\x01\x02")
    struct.pack_into("<L", data, central + 24, 10)
    with pytest.raises(SourceError):
        unpacked(io.BytesIO(bytes(data)), "p.zip")


def test_zip_with_a_huge_table_is_refused_before_it_is_read() -> None:
    data = bytearray(zipped(("p/a", b"x", 0o100644)).getvalue())
    struct.pack_into("<L", data, data.rindex(b"PK\x05\x06") + 12, 100_000_000)
    with pytest.raises(SourceError, match="table of contents"):
        unpacked(io.BytesIO(bytes(data)), "p.zip")


def test_encrypted_zip_is_refused() -> None:
    data = bytearray(zipped(("p/a", b"x", 0o100644)).getvalue())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(SourceError, match="encrypted"):
        unpacked(io.BytesIO(bytes(data)), "p.zip")


NOISE = random.Random(1).randbytes(5120)


@pytest.mark.parametrize("cut", [0, 10, 100, 600, -3000])
@pytest.mark.parametrize("name", ["p.tar.gz", "p.tar.bz2", "p.tar.xz", "p.zip", "p.tar"])
def test_damaged_archives_are_errors_not_crashes(name: str, cut: int) -> None:
    plain = tar(*(member(f"p/{number}", NOISE) for number in range(5)), packing="").getvalue()
    whole = {
        "p.tar.gz": gzip.compress(plain), "p.tar.bz2": bz2.compress(plain), "p.tar.xz": lzma.compress(plain), "p.tar": plain[:9000],
        "p.zip": zipped(*((f"p/{number}", NOISE, 0o100644) for number in range(5))).getvalue(),
    }[name]  # fmt: skip
    with pytest.raises(SourceError):
        unpacked(io.BytesIO(whole[:cut]), name)


def test_rubbish_is_an_error() -> None:
    for name in ("p.tar.gz", "p.zip", "p.tar.xz", "p.tar", "p.rar", "p"):
        with pytest.raises(SourceError):
            unpacked(io.BytesIO(b"\0rubbish" * 5000), name)


def test_negative_sizes_do_not_loop() -> None:
    raw = bytearray(tarfile.TarInfo("p/a").tobuf(tarfile.GNU_FORMAT))
    raw[124:136] = b"\xff" * 12
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    with pytest.raises(SourceError):
        unpacked(io.BytesIO(gzip.compress(bytes(raw) + b"\0" * 10240)))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_long_header_is_refused_by_its_announced_size(kind: bytes) -> None:
    with pytest.raises(SourceError, match="a header of 8589934592 bytes"):
        unpacked(huge_header(kind)())


def test_bytes_that_belong_to_no_member_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_TOTAL", 10_000)
    monkeypatch.setattr(archives, "_ENTRIES", 40)
    members = [member(f"p/{number}", b"", pax_headers={"comment": "c" * 10_000}) for number in range(30)]
    with pytest.raises(SourceError, match="unpacks to more than we accept"):
        unpacked(tar(*members, format=tarfile.PAX_FORMAT))
