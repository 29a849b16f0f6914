"""Guard `same-weakness` for hashes: to say that a digest protects nothing is no fix where it protects a secret."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from remediator.builtin.guards.python.module import Module
from remediator.builtin.guards.trait import Trait
from remediator.records.finding import Finding

CODE = "same-weakness"
_KEYWORD = "usedforsecurity"
_WEAK_HASHES = frozenset((310, 326, 327, 328, 759, 760, 916))
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_STORED = frozenset(("password", "passwords", "passwd", "pwd", "passphrase", "passcode", "credential", "credentials", "pin"))
_SECRET = frozenset(
    (
        "secret", "secrets", "token", "nonce", "session", "sessionid", "sid", "csrf", "xsrf", "otp", "apikey", "signature", "sign",
        "signed", "signer", "hmac", "mac", "auth", "authenticate", "authentication", "login", "salt", "salted", "certificate", "reset",
    )
)  # fmt: skip
_HARMLESS = frozenset(
    ("etag", "etags", "cache", "cached", "caching", "checksum", "checksums", "dedup", "dedupe", "duplicate", "bucket", "shard", "filename")
)


def denied_security(module: Module, finding: Finding) -> Iterator[Trait]:
    """Yield weak hashes that are declared to protect nothing: certain where names say that a secret goes in, else for a person to read."""
    if not _WEAK_HASHES.intersection(finding.cwe):
        return
    parents = {child: node for node in module.nodes for child in ast.iter_child_nodes(node)}
    for call in module.nodes:
        if not isinstance(call, ast.Call) or not _denies(call):
            continue
        words = _words_around(call, parents)
        told = sorted(words & _STORED or (words & _SECRET if not words & _HARMLESS else set()))
        key = f"{_KEYWORD} in {module.enclosing(call.lineno)}"
        if told:
            yield Trait(
                CODE, key, call.lineno, f"{_KEYWORD}=False is said of a hash that has to do with a {told[0]}: it stays as weak as it was"
            )
        elif not words & _HARMLESS:
            yield Trait(CODE, key, call.lineno, f"nothing shows that this hash protects nothing, as {_KEYWORD}=False says", certain=False)


def _denies(call: ast.Call) -> bool:
    for word in call.keywords:
        if word.arg == _KEYWORD:
            return not (isinstance(word.value, ast.Constant) and word.value.value is True)
        if word.arg is None and any(isinstance(part, ast.Constant) and part.value == _KEYWORD for part in ast.walk(word.value)):
            return True
    return False


def _words_around(call: ast.Call, parents: dict[ast.AST, ast.AST]) -> set[str]:
    """Return the words of the statement, of what else is fed to the same hash, and of the functions and classes around it."""
    words: set[str] = set()
    node: ast.AST = call
    kept: set[str] = set()
    while (above := parents.get(node)) is not None:
        if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not kept:
            words |= _words_in(node) if not hasattr(node, "body") else set()
            kept |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)} | {""}
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            words |= _words_of(node.name)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            words |= {word for fed in ast.walk(node) if _feeds(fed, kept) for word in _words_in(fed)}
        node = above
    return words


def _feeds(node: ast.AST, kept: set[str]) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "update"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in kept
    )


def _words_in(node: ast.AST) -> set[str]:
    found: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found |= _words_of(part.id)
        elif isinstance(part, ast.Attribute):
            found |= _words_of(part.attr)
        elif isinstance(part, ast.keyword) and part.arg and part.arg != _KEYWORD:
            found |= _words_of(part.arg)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str) and len(part.value) < 60:
            found |= _words_of(part.value)
    return found


def _words_of(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}
