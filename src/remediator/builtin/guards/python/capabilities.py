"""Guard `new-capability`: a fix does nothing that the file could not do before."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from remediator.builtin.guards.python.module import Module, Reference
from remediator.diff.objection import Objection

CODE = "new-capability"
# In these, one member may take another's place (os.system by subprocess); in the others each member is a danger of its own.
_EXCHANGEABLE = frozenset(("process", "network", "dynamic import", "decoding"))
_CLASSES: Mapping[str, re.Pattern[str]] = {
    # Each of these hands its words to a shell, so none may take another's place.
    "shell": re.compile(
        r"pydoc\.(?:pipe_?pager|tempfile_?pager|pager|getpager)|pipes\.Template(?:\..*)?|subprocess\.(?:getoutput|getstatusoutput)"
        r"|(?:commands|popen2)\..+|os\.popen[234]|platform\.popen"
    ),
    "process": re.compile(
        r"(?:subprocess|pty|pexpect|plumbum|multiprocessing|_posixsubprocess|distutils\.spawn|concurrent\.futures\.process|asyncio\.subprocess)\.(?!(?:PIPE|STDOUT|DEVNULL|\w+Error|TimeoutExpired|list2cmdline)$).+"
        r"|os\.(?:system|popen\w*|spawn\w+|exec\w+|posix_spawn\w*|fork\w*|startfile|kill\w*)|asyncio\.create_subprocess_\w+|concurrent\.futures\.ProcessPoolExecutor"
    ),
    "network": re.compile(
        r"socket\.(?:socket|SocketType|create_connection|create_server|socketpair|fromfd|getaddrinfo|gethostby\w+|getfqdn|has_dualstack_ipv6)(?:\..*)?"
        r"|(?:socketserver|SocketServer|httplib|ftplib|smtplib|poplib|imaplib|telnetlib|nntplib|xmlrpclib|paramiko|websockets?|pycurl|boto3|botocore"
        r"|webbrowser)\..+|urllib2\.(?:urlopen|build_opener|install_opener|\w*Handler|OpenerDirector)"
        r"|(?:http\.(?:client|server)|xmlrpc\.\w+)\..+|urllib\.request\.(?:urlopen|urlretrieve|build_opener|install_opener|\w*Opener\w*)"
        r"|(?:requests|httpx)\.(?:get|post|put|patch|delete|head|options|request|stream|Session|session|Client|AsyncClient|api\..*|sessions\..*)"
        r"|aiohttp\.(?:ClientSession|request|TCPConnector|web\..*)"
        r"|urllib3\.(?:PoolManager|ProxyManager|HTTPS?ConnectionPool|connection_from_url|proxy_from_url|request)"
        r"|urllib\.(?:urlopen|urlretrieve|URLopener|FancyURLopener)|asyncio\.(?:open_connection|start_server|open_unix_connection)"
    ),
    "dynamic import": re.compile(
        r"builtins\.__import__|importlib(?:\.(?!metadata|resources)\w+.*)?|imp(?:\..*)?|zipimport(?:\..*)?|pkgutil\.(?:find_loader|get_loader|resolve_name)"
        r"|(?:importlib\.metadata|importlib_metadata|pkg_resources)\.EntryPoint(?:\..*)?|pkg_resources\.load_entry_point"
        r"|pydoc\.(?:locate|resolve|safeimport|importfile)|site\.add\w+"
    ),
    "dynamic code": re.compile(
        r"builtins\.(?:eval|exec|compile|execfile)|(?:code|codeop|runpy|timeit|cProfile|profile|trace|pdb|bdb)\..*|types\.(?:CodeType|FunctionType|LambdaType)"
        r"|typing\.(?:get_type_hints|ForwardRef)|inspect\.get_annotations|annotationlib\..*|six\.exec_|distutils\.core\.run_setup"
        r"|(?:pandas|pd)\.eval|sympy\.(?:sympify|parse_expr|parsing\..*)"
        r"|logging\.config\.(?:listen|dictConfig|fileConfig)|numpy\.f2py.*|numexpr\..*"
    ),
    "deserialisation": re.compile(
        r"(?:pickle|cPickle|_pickle|dill|cloudpickle|marshal)\.(?:loads?|Unpickler|_loads?|_Unpickler)(?:\..*)?|shelve(?:\..*)?"
        r"|jsonpickle\.(?:decode|loads|unpickler.*)|(?:.*\.)?joblib\.load|torch\.(?:load|jit\.load|hub\.load\w*|serialization\.load)"
        r"|(?:pandas|pd)\.(?:read_pickle|io\.pickle\..*|compat\.pickle_compat\..*)|copyreg\..*"
        r"|yaml\.(?:load|load_all|full_load|full_load_all|unsafe_load|unsafe_load_all|Loader|CLoader|FullLoader|CFullLoader|UnsafeLoader|CUnsafeLoader|YAMLObject.*"
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
            "__dict__",
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
        reference.node in node.bases
        and any(isinstance(item, ast.FunctionDef) and item.name == "find_class" and _allows_by_list(item) for item in node.body)
        for node in module.classes.values()
    )


def _allows_by_list(node: ast.FunctionDef) -> bool:
    """Return whether the function gives listed names and refuses the rest; to refuse some and give the rest is not enough."""
    name = node.args.args[-1].arg if node.args.args else ""
    for statement in node.body:
        if isinstance(statement, ast.If) and isinstance(statement.body[-1], ast.Raise) and _is_asked(statement.test, name, ast.NotIn):
            return True
        if any(isinstance(part, ast.Return) for part in ast.walk(statement)):
            listed = isinstance(statement, ast.If) and not statement.orelse and _is_asked(statement.test, name, ast.In)
            if not listed:
                return False
    return isinstance(node.body[-1], ast.Raise)


def _is_asked(test: ast.expr, name: str, operator: type[ast.cmpop]) -> bool:
    joint = ast.And if operator is ast.In else ast.Or
    parts = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, joint) else [test]
    return any(
        isinstance(part, ast.Compare)
        and isinstance(part.ops[0], operator)
        and any(isinstance(word, ast.Name) and word.id == name for word in ast.walk(part.left))
        for part in parts
    )


def _magic(before: Module, after: Module, path: str, added_lines: frozenset[int]) -> Iterator[Objection]:
    known = Counter(attribute for attribute, _ in _magic_uses(before))
    for attribute, line in sorted(_magic_uses(after), key=lambda use: use[1] in added_lines):
        known[attribute] -= 1
        if known[attribute] < 0:
            yield Objection(CODE, path, f"reflection: {attribute}", line)


def _magic_uses(module: Module) -> list[tuple[str, int]]:
    found = []
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and node.attr in _MAGIC_ATTRIBUTES:
            found.append((node.attr, node.lineno))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in _MAGIC_ATTRIBUTES:
            found.append((node.value, node.lineno))
        elif isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            found.append((f"from {'.' * node.level}{node.module or ''} import *", node.lineno))
    return found


def is_capability(name: str) -> bool:
    """Return whether a dotted name belongs to any of the classes."""
    return any(pattern.fullmatch(name) for pattern in _CLASSES.values())
