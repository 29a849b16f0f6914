"""What the changed code does when it runs: the flaw is gone, and the honest use still works. Real sqlite, real archives, real commands."""

from __future__ import annotations

import io
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from remediator.builtin.codemods.catalog import TRANSFORMS
from remediator.builtin.codemods.propose import Question, Region, propose


def fixed(code: str, cwe: int, **project: bytes) -> str:
    """Return the code after the first change that is offered for its last line but the return."""
    lines = code.count("\n")
    answer = propose(Question("a.py", code.encode(), Region(1, 1, lines, 1000), (cwe,), "", project), TRANSFORMS)
    assert answer.changes, answer.refusal
    return answer.changes[0].data.decode()


def run(code: str, **given: Any) -> dict[str, Any]:
    names = dict(given)
    exec(compile(code, "a.py", "exec"), names)
    return names


QUERIES = [
    "cur.execute(\"SELECT name FROM users WHERE name = '%s'\" % name)",
    "cur.execute(f\"SELECT name FROM users WHERE name = '{name}'\")",
    "cur.execute(\"SELECT name FROM users WHERE name = '{}'\".format(name))",
    'cur.execute("SELECT name FROM users WHERE name = \'" + name + "\'")',
    "cur.execute(\"SELECT name FROM users WHERE name IN ('%s', '-') AND 1=%d\" % (name, 1))",
    "cur.execute(\"SELECT name FROM users WHERE name LIKE '%s%%'\" % name)",
]


@pytest.mark.parametrize("query", QUERIES)
def test_query_finds_what_is_asked_for_and_cannot_be_broken_out_of(query: str) -> None:
    code = f"import sqlite3\ndef find(cur, name):\n    {query}\n    return [row[0] for row in cur]\n"
    con = sqlite3.connect(":memory:")
    con.executescript("CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('ann'), ('bob'), ('o''neill')")
    attack = "x' OR '1'='1"

    before, after = run(code)["find"], run(fixed(code, 89))["find"]

    assert before(con.cursor(), "ann") == after(con.cursor(), "ann") == ["ann"]
    if "LIKE" not in query and "IN (" not in query:
        assert before(con.cursor(), attack) == ["ann", "bob", "o'neill"]
    assert after(con.cursor(), attack) == []
    assert after(con.cursor(), "o'neill") == ["o'neill"]


COMMANDS = [
    'subprocess.check_output("echo a %s" % x, shell=True)',
    "subprocess.check_output(f\"echo a '{x}'\", shell=True)",
    'subprocess.check_output("echo a " + x, shell=True)',
    'os.popen("echo a {}".format(x)).read().encode()',
]


@pytest.mark.parametrize("command", COMMANDS)
def test_command_says_the_same_and_runs_nothing_else(command: str, tmp_path: Path) -> None:
    code = f"import os\nimport subprocess\ndef go(x):\n    return {command}\n"
    mark = tmp_path / "mark"
    attack = f"b'; touch {mark}; echo '" if "'{x}'" in command else f"b; touch {mark}"

    before, after = run(code)["go"], run(fixed(code, 78))["go"]

    assert before("b") == after("b") == b"a b\n"
    assert after(attack).decode() == f"a {attack}\n"
    assert not mark.exists()
    before(attack)
    assert mark.exists()


UNPACK = "import tarfile\ndef unpack(name, folder):\n    with tarfile.open(name) as tar:\n        tar.extractall(folder)\n"


def archive_of(tmp_path: Path, *members: tuple[str, bytes, str]) -> Path:
    name = tmp_path / "a.tar"
    with tarfile.open(name, "w") as tar:
        for path, kind, content in members:
            info = tarfile.TarInfo(path)
            info.type, info.mode = kind, 0o755
            if kind == tarfile.REGTYPE:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content.encode()))
            else:
                info.linkname = content
                tar.addfile(info)
    return name


HOSTILE = {
    "dots": [("../out/evil", tarfile.REGTYPE, "x")],
    "absolute": [("{out}/evil", tarfile.REGTYPE, "x")],
    "link out": [("l", tarfile.SYMTYPE, "../out"), ("l/evil", tarfile.REGTYPE, "x")],
    "link by a link": [("a", tarfile.SYMTYPE, "."), ("b", tarfile.SYMTYPE, "a/../out"), ("b/evil", tarfile.REGTYPE, "x")],
    "neighbour": [("../target-2/evil", tarfile.REGTYPE, "x")],
    "hard link": [("h", tarfile.LNKTYPE, "../out/secret")],
    "fifo": [("f", tarfile.FIFOTYPE, "")],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE)
def test_hostile_archive_writes_nothing_outside(members: list[tuple[str, bytes, str]], tmp_path: Path) -> None:
    out, target = tmp_path / "out", tmp_path / "target"
    for folder in (out, target, tmp_path / "target-2"):
        folder.mkdir()
    (out / "secret").write_text("s")
    name = archive_of(tmp_path, *[(path.format(out=out), kind, content) for path, kind, content in members])

    with pytest.raises(ValueError, match=r"outside|not a file"):
        run(fixed(UNPACK, 22))["unpack"](str(name), str(target))

    assert not (out / "evil").exists()
    assert not (tmp_path / "target-2" / "evil").exists()
    assert not (target / "h").exists()


@pytest.mark.parametrize("kind", ["dots", "absolute", "link out", "neighbour"])
def test_hostile_archive_writes_outside_where_nothing_is_changed(kind: str, tmp_path: Path) -> None:
    out, target = tmp_path / "out", tmp_path / "target"
    for folder in (out, target, tmp_path / "target-2"):
        folder.mkdir()
    name = archive_of(tmp_path, *[(path.format(out=out), type_, content) for path, type_, content in HOSTILE[kind]])

    run(UNPACK)["unpack"](str(name), str(target))

    assert (out / "evil").exists() or (tmp_path / "target-2" / "evil").exists()


def test_honest_archive_is_unpacked(tmp_path: Path) -> None:
    members = [
        ("d", tarfile.DIRTYPE, ""),
        ("d/f", tarfile.REGTYPE, "hello"),
        ("d/up", tarfile.SYMTYPE, "../d/f"),
        ("hard", tarfile.LNKTYPE, "d/f"),
        ("./g", tarfile.REGTYPE, "g"),
    ]
    name = archive_of(tmp_path, *members)
    target = tmp_path / "target"

    run(fixed(UNPACK, 22))["unpack"](str(name), str(target))

    assert (target / "d" / "up").read_text() == (target / "hard").read_text() == "hello"
    assert (target / "g").read_text() == "g"


XML = '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "{}">]><r>&x;</r>'


@pytest.mark.parametrize(
    "body",
    [
        "    p = xml.sax.make_parser()\n    p.setContentHandler(h)\n    p.parse(f)\n",
        "    xml.sax.parse(f, h)\n",
        "    xml.sax.parseString(open(f).read(), h)\n",
        "    xml.sax.parseString(open(f, 'rb').read(), h)\n",
    ],
)
def test_external_entity_is_not_read(body: str, tmp_path: Path) -> None:
    code = f"import xml.sax\ndef read(f, h):\n{body}"
    secret = tmp_path / "secret"
    secret.write_text("hush")
    changed = fixed(code, 611)
    script = (
        changed + "\nclass H(xml.sax.ContentHandler):\n    def characters(self, t):\n        print(t)\nimport sys\nread(sys.argv[1], H())\n"
    )
    (tmp_path / "x.xml").write_text(XML.format(secret.as_uri()))

    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "x.xml")], capture_output=True, text=True, check=False, timeout=300)

    assert done.returncode == 0, done.stderr
    assert "hush" not in done.stdout
    assert "setFeature(xml.sax.handler.feature_external_ges, False)" in changed


def test_temporary_name_is_a_file_of_its_owner(tmp_path: Path) -> None:
    code = (
        "import tempfile\ndef make(d):\n    path = tempfile.mktemp('.x', 'p', d)\n    with open(path, 'w') as f:\n"
        "        f.write('a')\n    return path\n"
    )

    made = Path(run(fixed(code, 377))["make"](str(tmp_path)))

    assert made.read_text() == "a"
    assert made.name.startswith("p")
    assert made.suffix == ".x"
    assert made.stat().st_mode & 0o77 == 0


def test_secret_is_drawn_anew_after_a_seed() -> None:
    code = "import random\ndef make_token():\n    return ''.join(random.choice('abcdefgh') for _ in range(30))\n"
    import random

    before, after = run(code)["make_token"], run(fixed(code, 330))["make_token"]
    random.seed(1)
    first, new = before(), after()
    random.seed(1)

    assert before() == first
    assert after() != new
    assert len(new) == 30


def test_digests_are_told_apart_as_before() -> None:
    code = "import hashlib\ndef same(a, b):\n    return hashlib.sha256(a).hexdigest() == b and 1 or 2\n"
    unequal = "import hashlib\ndef differ(a, b):\n    return 1 + (hashlib.sha256(a).hexdigest() != b)\n"
    import hashlib

    good = hashlib.sha256(b"x").hexdigest()
    same, differ = run(fixed(code, 208))["same"], run(fixed(unequal, 208))["differ"]

    assert (same(b"x", good), same(b"x", "0")) == (1, 2)
    assert (differ(b"x", good), differ(b"x", "0")) == (1, 2)


def test_literals_are_read_and_code_is_not_run() -> None:
    code = "def convert(value):\n    try:\n        value = eval(value)\n    except Exception:\n        pass\n    return value\n"
    convert = run(fixed(code, 95))["convert"]

    assert (convert("[1, 2]"), convert("True"), convert("hello")) == ([1, 2], True, "hello")
    assert convert("__import__('os').getpid()") == "__import__('os').getpid()"


def test_check_is_made_without_asserts_too() -> None:
    code = "def f(a, b):\n    assert a == b, 'no'\n    assert a\n    return a\n"
    names: dict[str, Any] = {}
    exec(compile(fixed(code, 617), "a.py", "exec", optimize=2), names)

    assert names["f"](1, 1) == 1
    with pytest.raises(AssertionError, match="no"):
        names["f"](1, 2)
    with pytest.raises(AssertionError):
        names["f"](0, 0)


def test_status_that_is_asked_for_success_is_the_same() -> None:
    code = "import os\ndef ok(word):\n    return not os.system('test a = %s' % word)\n"
    before, after = run(code)["ok"], run(fixed(code, 78))["ok"]

    assert [before("a"), before("b")] == [after("a"), after("b")] == [True, False]


def test_file_of_the_owner_is_no_longer_open_to_all(tmp_path: Path) -> None:
    code = "import os\ndef share(p):\n    os.chmod(p, 0o777)\n"
    (tmp_path / "f").write_text("")

    run(fixed(code, 732))["share"](str(tmp_path / "f"))

    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o755
