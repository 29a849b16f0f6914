"""Guards `new-capability` and `disguised-call`: a fix does nothing that the file could not do before, nor the old thing by another name."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from remediator.builtin.guards.python.module import Module, Reference
from remediator.diff.objection import Objection

CODE = "new-capability"
DISGUISED = "disguised-call"
# In these, one member may take another's place (os.system by subprocess); in the others each member is a danger of its own.
_EXCHANGEABLE = frozenset(("process", "network", "dynamic import"))
_CLASSES: Mapping[str, re.Pattern[str]] = {
    "process": re.compile(
        r"(?:subprocess|commands|popen2|pty|pexpect|sh|plumbum|multiprocessing|asyncio\.subprocess)(?:\..*)?"
        r"|os\.(?:system|popen\w*|spawn\w+|exec\w+|posix_spawn\w*|fork\w*|startfile|kill\w*)|asyncio\.create_subprocess_\w+|platform\.popen"
    ),
    "network": re.compile(
        r"(?:socket|socketserver|SocketServer|urllib2|httplib|requests|httpx|aiohttp|urllib3|ftplib|smtplib|poplib|imaplib|telnetlib|nntplib"
        r"|xmlrpclib|paramiko|websocket|websockets|pycurl|boto3|botocore|http\.(?:client|server)|xmlrpc\.\w+|urllib\.request|webbrowser)(?:\..*)?"
        r"|urllib\.(?:urlopen|urlretrieve|URLopener|FancyURLopener)|asyncio\.(?:open_connection|start_server|open_unix_connection)"
    ),
    "dynamic import": re.compile(
        r"builtins\.__import__|importlib(?:\.(?!metadata|resources)\w+.*)?|imp(?:\..*)?|zipimport(?:\..*)?|pkgutil\.(?:find_loader|get_loader|resolve_name)"
        r"|pydoc\.locate|pkg_resources\.load_entry_point"
    ),
    "dynamic code": re.compile(
        r"builtins\.(?:eval|exec|compile|execfile)|(?:code|codeop|runpy|timeit|cProfile|profile|trace|pdb|bdb)\..*|types\.(?:CodeType|FunctionType|LambdaType)"
        r"|logging\.config\.(?:listen|dictConfig|fileConfig)|numpy\.f2py.*|numexpr\..*"
    ),
    "deserialisation": re.compile(
        r"(?:pickle|cPickle|_pickle|dill|cloudpickle|marshal)\.(?:loads?|Unpickler|_loads?|_Unpickler)(?:\..*)?|shelve(?:\..*)?"
        r"|jsonpickle\.(?:decode|loads|unpickler.*)|joblib\.load|torch\.load|(?:pandas|pd)\.read_pickle|copyreg\..*"
        r"|yaml\.(?:load|load_all|full_load|full_load_all|unsafe_load|unsafe_load_all|Loader|CLoader|FullLoader|CFullLoader|UnsafeLoader|CUnsafeLoader"
        r"|(?:loader|constructor|cyaml)\.(?!C?Safe).*)|ruamel\.yaml\.(?:load|unsafe_load|Loader|UnsafeLoader)"
    ),
    "native code": re.compile(r"(?:ctypes|_ctypes|cffi|mmap)(?:\..*)?"),
    "decoding": re.compile(
        r"base64\.\w*decode\w*|base64\.[abz]85decode|binascii\.(?:a2b_\w+|unhexlify)|codecs\.(?:decode|getdecoder)|(?:zlib|lzma|bz2|gzip)\.decompress\w*"
        r"|builtins\.(?:bytes|bytearray)\.fromhex|uu\.decode|quopri\.decode\w*"
    ),
    "reflection": re.compile(
        r"builtins(?:\.(?:globals|locals|vars|breakpoint|__builtins__.*|__build_class__|__loader__.*|__spec__.*))?|operator\.(?:attrgetter|methodcaller)"
        r"|inspect\.getattr_static|types\.(?:MethodType|ModuleType)|.*\.__(?:dict|globals|builtins|subclasses|code|getattribute)__(?:\..*)?"
    ),
}
_MAGIC_ATTRIBUTES = frozenset(
    (
        *(
            "__subclasses__",
            "__globals__",
            "__builtins__",
            "__code__",
            "__bases__",
            "__mro__",
            "__getattribute__",
            "__closure__",
            "__reduce__",
        ),
        *(
            "f_globals",
            "f_locals",
            "f_back",
            "gi_frame",
            "cr_frame",
            "tb_frame",
            "__func__",
            "__wrapped__",
            "__import__",
            "__base__",
            "fromhex",
        ),
    )
)


def capabilities(before: Module, after: Module, path: str, added_lines: frozenset[int]) -> Iterator[Objection]:
    """Yield uses of processes, network, dynamic code, deserialisation, native code, decoding and reflection that are new."""
    old, new = _uses(before), _uses(after)
    for kind, uses in new.items():
        known = Counter(reference.name for reference in old.get(kind, []))
        if kind in _EXCHANGEABLE:
            yield from _spread(kind, old.get(kind, []), uses, before, after, path)
            continue
        for reference in sorted(uses, key=lambda use: use.node.lineno in added_lines):
            known[reference.name] -= 1
            if known[reference.name] < 0 and not (kind == "deserialisation" and _is_restricted_base(reference, after)):
                yield Objection(CODE, path, f"{kind}: {reference.name}", reference.node.lineno)
    yield from _magic(before, after, path, added_lines)


def _uses(module: Module) -> dict[str, list[Reference]]:
    found: dict[str, list[Reference]] = {}
    for reference in module.references:
        for kind, pattern in _CLASSES.items():
            if pattern.fullmatch(reference.name):
                found.setdefault(kind, []).append(reference)
                break
    return found


def _spread(kind: str, old: list[Reference], new: list[Reference], before: Module, after: Module, path: str) -> Iterator[Objection]:
    """Yield where the file could not do it at all before, or more often now and in functions that could not."""
    calls = [reference for reference in new if reference.called]
    if not old:
        for reference in (calls or new)[:1]:
            yield Objection(CODE, path, f"{kind}: {reference.name}", reference.node.lineno)
        return
    old_calls = [reference for reference in old if reference.called]
    if len(calls) <= len(old_calls):
        return
    places = {before.enclosing(reference.node.lineno) for reference in old_calls}
    for reference in calls:
        if after.enclosing(reference.node.lineno) not in places:
            yield Objection(CODE, path, f"{kind}: one more use, {reference.name}, in another place", reference.node.lineno)


def _is_restricted_base(reference: Reference, module: Module) -> bool:
    """Return whether the reference is the base of a class that says by itself which names may be unpickled."""
    return any(
        reference.node in node.bases and any(isinstance(item, ast.FunctionDef) and item.name == "find_class" for item in node.body)
        for node in module.classes.values()
    )


def _magic(before: Module, after: Module, path: str, added_lines: frozenset[int]) -> Iterator[Objection]:
    known = Counter(attribute for attribute, _ in _magic_uses(before))
    for attribute, line in sorted(_magic_uses(after), key=lambda use: use[1] in added_lines):
        known[attribute] -= 1
        if known[attribute] < 0:
            yield Objection(CODE, path, f"reflection: {attribute}", line)


def _magic_uses(module: Module) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in _MAGIC_ATTRIBUTES:
            found.append((node.attr, node.lineno))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in _MAGIC_ATTRIBUTES:
            found.append((node.value, node.lineno))
        elif isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            found.append((f"from {'.' * node.level}{node.module or ''} import *", node.lineno))
    return found


def disguised_calls(before: Module, after: Module, path: str) -> Iterator[Objection]:
    """Yield where a call that was there is now made by way of a variable, `getattr`, or a name that is handed on."""
    old_calls = Counter(reference.name for reference in before.references if reference.called)
    new_calls = Counter(reference.name for reference in after.references if reference.called)
    removed = {name for name, count in old_calls.items() if new_calls[name] < count}
    old_plain = Counter(reference.name for reference in before.references if not reference.called)
    for reference in after.references:
        if reference.called or reference.name not in removed:
            continue
        old_plain[reference.name] -= 1
        if old_plain[reference.name] < 0:
            yield Objection(DISGUISED, path, f"{reference.name} is still used, by another way", reference.node.lineno)
    known = Counter(detail for detail, _ in _lookups(before))
    for detail, line in _lookups(after):
        known[detail] -= 1
        if known[detail] < 0:
            yield Objection(DISGUISED, path, f"{detail} hides what is called", line)


def _lookups(module: Module) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr" and node.args:
            name = module.resolve(node.args[0])
            computed = len(node.args) > 1 and not isinstance(node.args[1], (ast.Constant, ast.Name))
            if (name is not None and not name.startswith("builtins.")) or computed:
                found.append((ast.unparse(node)[:120], node.lineno))
    return found
