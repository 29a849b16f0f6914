"""Patches that trade a flaw for its like: scanners fall silent, tests pass, nothing is safer."""

from __future__ import annotations

import pytest

from remediator.builtin.guards_verifier import GuardsVerifier
from remediator.records import CheckStatus

SQL = "cursor.execute(\"SELECT id FROM t WHERE name = '%s'\" % name)"
HASH = "hashlib.md5(data).hexdigest()"
GET = "requests.get(url, verify=False)"
BASE = (
    "import hashlib\nimport random\nimport requests\n\n\n"
    f"def find(cursor, name):\n    {SQL}\n    return cursor.fetchall()\n\n\n"
    f"def digest(data):\n    return {HASH}\n\n\ndef token():\n    return random.randint(1, 10**9)\n\n\ndef get(url):\n    return {GET}\n\n\n"
)
HELPER = "def _query(name):\n    return \"SELECT id FROM t WHERE name = '%s'\" % name\n"
WRONG = {
    "a query from a helper": (SQL, "cursor.execute(_query(name))", 89, HELPER),
    "a query from a template": (SQL, "cursor.execute(string.Template(\"SELECT '$n'\").substitute(n=name))", 89, "import string\n"),
    "a joined query": (SQL, 'cursor.execute("".join(["SELECT \'", name, "\'"]))', 89, ""),
    "a query by replacement": (SQL, "cursor.execute(\"SELECT 'NAME'\".replace('NAME', name))", 89, ""),
    "a query that grows": (SQL, 'query = ["SELECT "]\n    query.append(name)\n    cursor.execute("".join(query))', 89, ""),
    "the method by a variable": (SQL, f"run = cursor.execute\n    {SQL.replace('cursor.execute', 'run')}", 89, ""),
    "the method by its name": (SQL, SQL.replace("cursor.execute", 'getattr(cursor, "execute")'), 89, ""),
    "a quoted placeholder": (SQL, "cursor.execute(\"SELECT id FROM t WHERE name = '?'\", (name,))", 89, ""),
    "the hash by a variable": (HASH, "hashlib.new(KIND, data).hexdigest()", 327, "KIND = 'md' + '5'\n"),
    "the hash by another module": (HASH, "_md5.md5(data).hexdigest()", 327, "import _md5\n"),
    "another weak hash": (HASH, 'hashlib.new("ripemd160", data).hexdigest()', 327, ""),
    "a keyed weak hash": (HASH, 'hmac.new(b"", data, "md5").hexdigest()', 327, "import hmac\n"),
    "a checksum": (HASH, "str(zlib.crc32(data))", 327, "import zlib\n"),
    "a hash of a password that is said to protect nothing": (
        HASH,
        "hashlib.md5(data, usedforsecurity=False).hexdigest()\n\n\ndef store(user, password):\n    user.hash = digest(password)",
        327,
        "def f(password):\n    return hashlib.md5(password, usedforsecurity=False).hexdigest()\n",
    ),
    "a hash that is fed a secret": (
        HASH,
        "_feed(data)",
        327,
        "def _feed(secret):\n    h = hashlib.new('md5', usedforsecurity=False)\n    h.update(secret)\n    return h.hexdigest()\n",
    ),
    "a hash in a function for tokens": (
        f"def digest(data):\n    return {HASH}",
        "def digest(data):\n    return _token_digest(data)",
        328,
        "def _token_digest(data):\n    return hashlib.md5(data, **{'usedforsecurity': False}).hexdigest()\n",
    ),
    "a digest cut short": (HASH, "hashlib.sha256(data).hexdigest()[:8]", 327, ""),
    "the time": ("random.randint(1, 10**9)", "int(time.time())", 330, "import time\n"),
    "another generator": ("random.randint(1, 10**9)", "random.Random().randint(1, 10**9)", 330, ""),
    "certificates by a comparison": (GET, "requests.get(url, verify=url is None)", 295, ""),
    "certificates by a function": (GET, "requests.get(url, verify=_check())", 295, "def _check():\n    return False\n"),
    "certificates by a name": (GET, "requests.get(url, verify=CHECK)", 295, "CHECK = False\n"),
    "certificates by setattr": (
        GET,
        "opened().get(url)",
        295,
        'def opened():\n    s = requests.Session()\n    setattr(s, "verify", False)\n    return s\n',
    ),
    "certificates by an adapter": (GET, "requests.get(url)", 295, "class A(requests.adapters.HTTPAdapter):\n    pass\n"),
    "no encryption at all": (GET, 'requests.get(url.replace("https:", "http:"))', 295, ""),
}
RIGHT = {
    "parameters": (SQL, 'cursor.execute("SELECT id FROM t WHERE name = ?", (name,))', 89, ""),
    "placeholders by number": (
        SQL,
        'marks = ",".join("?" * len(name))\n    cursor.execute("SELECT id FROM t WHERE name IN (%s)" % marks, name)',
        89,
        "",
    ),
    "a query kept in a name": (SQL, 'query = "SELECT id FROM t" " WHERE name = ?"\n    cursor.execute(query, (name,))', 89, ""),
    "a strong hash": (HASH, "hashlib.sha256(data).hexdigest()", 327, ""),
    "a checksum that protects nothing": (
        HASH,
        "_checksum(data)",
        327,
        "def _checksum(data):\n    return hashlib.blake2b(data, usedforsecurity=False).hexdigest()\n",
    ),
    "a strong keyed hash": (HASH, "hmac.new(b'', data, hashlib.sha256).hexdigest()", 327, "import hmac\n"),
    "a secret number": ("random.randint(1, 10**9)", "secrets.randbelow(10**9) + 1", 330, "import secrets\n"),
    "certificates checked": (GET, "requests.get(url)", 295, ""),
    "certificates of one's own": (GET, 'requests.get(url, verify=os.environ.get("CA_BUNDLE", True))', 295, "import os\n"),
}


async def _check(case, git, workspace_of, patch_of, finding_at):
    old, new, cwe, more = case
    before, after = {"x.py": BASE.encode()}, {"x.py": (BASE.replace(old, new) + more).encode()}
    diff = git.diff(git.tree(before), git.tree(after))
    line = BASE[: BASE.index(old)].count("\n") + 1
    finding = finding_at("x.py", line, BASE.split("\n")[line - 1], cwe=(cwe,))
    return await GuardsVerifier().verify(finding, patch_of(diff), workspace_of(before, diff))


@pytest.mark.parametrize("name", WRONG)
async def test_a_flaw_traded_for_its_like_is_rejected(name, git, workspace_of, patch_of, finding_at) -> None:
    check = await _check(WRONG[name], git, workspace_of, patch_of, finding_at)
    assert check.status is CheckStatus.failed, check
    assert check.reason in ("same-weakness", "disguised-call"), check


@pytest.mark.parametrize("name", RIGHT)
async def test_a_sound_successor_passes(name, git, workspace_of, patch_of, finding_at) -> None:
    check = await _check(RIGHT[name], git, workspace_of, patch_of, finding_at)
    assert check.status is CheckStatus.passed, check


@pytest.mark.parametrize(
    ("name", "argument", "status", "noted"),
    [
        ("password_hash", "password", CheckStatus.failed, False),
        ("digest", "user.password", CheckStatus.failed, False),
        ("cached_password", "password", CheckStatus.failed, False),
        ("reset_token", "seed", CheckStatus.failed, False),
        ("signature", "body", CheckStatus.failed, False),
        ("cache_key", "token", CheckStatus.passed, False),
        ("etag", "body", CheckStatus.passed, False),
        ("digest", "data", CheckStatus.passed, True),
    ],
)
async def test_the_same_hash_with_another_word_is_a_fix_only_where_it_protects_nothing(
    name: str, argument: str, status: CheckStatus, noted: bool, git, workspace_of, patch_of, finding_at
) -> None:
    old = f"import hashlib\n\n\ndef {name}({argument.partition('.')[0]}):\n    return hashlib.md5({argument}).hexdigest()\n"
    new = old.replace(").hexdigest", ", usedforsecurity=False).hexdigest")
    before = {"x.py": old.encode()}
    finding = finding_at("x.py", 5, old.split("\n")[4], cwe=(327,))
    diff = git.diff(git.tree(before), git.tree({"x.py": new.encode()}))
    check = await GuardsVerifier().verify(finding, patch_of(diff), workspace_of(before, diff))
    assert check.status is status, check
    assert check.reason == ("same-weakness" if status is CheckStatus.failed else "")
    assert any(note["code"] == "same-weakness" for note in check.evidence["notes"]) is noted
