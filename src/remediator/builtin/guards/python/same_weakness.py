"""Guard `same-weakness`: what comes in place of the flaw must not be weak in the same way."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from remediator.builtin.guards.python.module import Module
from remediator.builtin.guards.trait import Trait
from remediator.records.finding import Finding

CODE = "same-weakness"


class _Kin(NamedTuple):
    """What belongs together: weaknesses, and the names and literal texts that have them."""

    cwe: frozenset[int]
    names: re.Pattern[str]
    texts: re.Pattern[str]


_NEVER = re.compile(r"(?!)")
_KINS = (
    _Kin(
        frozenset((326, 327, 328, 759, 760, 916)),
        re.compile(
            r"hashlib\.(?:md[245]|sha1|ripemd\w*)|_?(?:md5|sha1|sha)\.\w+|_hashlib\.openssl_(?:md5|sha1)|(?:zlib|binascii)\.(?:adler32|crc\w+)"
            r"|uuid\.uuid[35]|builtins\.hash|(?:Crypto|Cryptodome)\.(?:Hash\.(?:MD\d|SHA1?|RIPEMD\w*)|Cipher\.(?:DES3?|ARC[24]|Blowfish|CAST|XOR))(?:\..*)?"
            r"|cryptography\..*\.(?:MD5|SHA1|ARC4|Blowfish|CAST5|IDEA|SEED|TripleDES|ECB)|crypt\.\w+"
        ),
        re.compile(r"(?i)md[245]|sha-?1|ripemd-?\d*|md5-sha1|rc4|arc4|des3?|3des|blowfish|crc-?32"),
    ),
    _Kin(
        frozenset((330, 331, 335, 337, 338, 340, 343)),
        re.compile(
            r"random\.(?!SystemRandom\b).+|numpy\.random\..+|time\.(?:time|monotonic|perf_counter)(?:_ns)?|uuid\.uuid[135]|os\.getpid|builtins\.(?:id|hash)"
        ),
        _NEVER,
    ),
    _Kin(
        frozenset((295, 296, 297, 298, 299)),
        re.compile(
            r"ssl\.(?:CERT_NONE|CERT_OPTIONAL|VerifyMode\..*|_create_unverified_context|_create_stdlib_context|wrap_socket|SSLContext)|urllib3\..*"
            r"|requests\.(?:adapters|packages)\..*|OpenSSL\.SSL\.VERIFY_NONE"
        ),
        re.compile(r"(?i)cert_(?:none|optional)|(?:curl|requests)_ca_bundle|pythonhttpsverify|ssl_cert_(?:file|dir)|http:(?://)?"),
    ),
    _Kin(
        frozenset((502,)),
        re.compile(r"(?:.*\.)?(?:FullConstructor|UnsafeConstructor|Constructor)\b.*"),
        re.compile(r"(?i)tag:yaml\.org,2002:python.*|!!?python/.*"),
    ),
)
_NAMED_BY_TEXT = ("hashlib.new", "hmac.new", "hmac.digest", "hashlib.pbkdf2_hmac", "hashlib.file_digest")
_WEAK_HASHES = frozenset((326, 327, 328, 916))
_SHORTEST_DIGEST = 32


def same_weakness(module: Module, finding: Finding) -> Iterator[Trait]:
    """Yield names and texts that have the finding's weakness, algorithms that only show at run time, and digests cut short."""
    kins = [kin for kin in _KINS if kin.cwe.intersection(finding.cwe)]
    for kin in kins:
        for reference in module.references:
            if kin.names.fullmatch(reference.name):
                yield Trait(CODE, reference.name, reference.node.lineno, f"{reference.name} has the weakness that the finding is about")
        for node in module.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and kin.texts.fullmatch(node.value.strip()):
                yield Trait(CODE, node.value, node.lineno, f"the text {node.value[:60]!r} chooses the weakness that the finding is about")
    if _WEAK_HASHES.intersection(finding.cwe):
        yield from _hidden_hashes(module)


def _hidden_hashes(module: Module) -> Iterator[Trait]:
    for node in module.nodes:
        if isinstance(node, ast.Call) and module.resolve(node.func) in _NAMED_BY_TEXT:
            words = [*node.args, *(word.value for word in node.keywords)]
            if not any(_is_told(word, module) for word in words):
                yield Trait(CODE, "algorithm", node.lineno, f"which algorithm {ast.unparse(node)[:80]!r} uses cannot be seen")
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) and _is_digest(node.value):
            upper = getattr(node.slice.upper, "value", None)
            if not isinstance(upper, int) or upper < _SHORTEST_DIGEST:
                yield Trait(CODE, "cut", node.lineno, "a digest is cut short")


def _is_told(node: ast.expr, module: Module) -> bool:
    """Return whether an expression names an algorithm plainly."""
    return (isinstance(node, ast.Constant) and isinstance(node.value, str)) or (module.resolve(node) or "").startswith("hashlib.")


def _is_digest(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("digest", "hexdigest")
