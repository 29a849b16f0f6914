"""Which Python modules a project has: its own, those it imports, those it declares."""

from __future__ import annotations

import re
from collections.abc import Iterator

from remediator.contracts.tree import Tree, TreeEntry
from remediator.diff.roles import is_test

_MANIFEST = re.compile(
    r"(?:.*[_-])?requirements?(?:[_-].*)?\.(?:txt|in)|setup\.(?:py|cfg)|pyproject\.toml|pipfile|environment\.ya?ml|constraints.*\.txt"
)
_DISTRIBUTIONS = {
    "attr": ("attrs",),
    "bs4": ("beautifulsoup4",),
    "Crypto": ("pycryptodome", "pycrypto"),
    "cv2": ("opencv-python",),
    "dateutil": ("python-dateutil",),
    "git": ("gitpython",),
    "jwt": ("pyjwt",),
    "MySQLdb": ("mysqlclient", "mysql-python"),
    "OpenSSL": ("pyopenssl",),
    "PIL": ("pillow",),
    "psycopg2": ("psycopg2-binary",),
    "sklearn": ("scikit-learn",),
    "yaml": ("pyyaml",),
}
# What is always there when the other is.
_COMES_WITH = {
    "asgiref": ("django",),
    "certifi": ("requests",),
    "click": ("flask",),
    "itsdangerous": ("flask",),
    "jinja2": ("flask",),
    "markupsafe": ("jinja2", "flask"),
    "multidict": ("aiohttp",),
    "pydantic": ("fastapi",),
    "sqlparse": ("django",),
    "starlette": ("fastapi",),
    "urllib3": ("requests",),
    "werkzeug": ("flask",),
    "yarl": ("aiohttp",),
}
_MAX_TOTAL = 50_000_000
_MAX_FILE = 1_000_000


class ProjectModules:
    """Answers whether a module may be imported. Reads the tree only when it is asked."""

    def __init__(self, base: Tree) -> None:
        self._base = base

    def __call__(self, name: str) -> bool:
        """Return whether the project's product code holds, declares or imports the top-level module."""
        wanted = (name, *_COMES_WITH.get(name, ()))
        return any(self._is_own(each) or self._is_used(each) for each in wanted)

    def sources(self, module: str, importer: str) -> Iterator[bytes]:
        """Yield the text of each file that may be the module of this dotted name, as the file at `importer` would find it."""
        dots = len(module) - len(module.lstrip("."))
        place = "/".join(part for part in module.split(".") if part)
        folders = importer.split("/")[:-1]
        roots = [folders[: len(folders) - dots + 1]] if dots else [[], ["src"], ["lib"], ["python"], folders]
        for root in roots:
            for path in ("/".join([*root, f"{place}.py"]), "/".join([*root, place, "__init__.py"])):
                entry = self._base.find(path.replace("//", "/"))
                if entry is not None and entry.is_file and entry.size <= _MAX_FILE:
                    yield self._base.read(entry.path)

    def _is_own(self, name: str) -> bool:
        roots = ("", "src/", "lib/", "python/")
        paths = tuple(f"{root}{name}{end}" for root in roots for end in (".py", "/__init__.py"))
        folders = tuple(f"{root}{name}/" for root in roots)
        return any(entry.path in paths or (entry.path.startswith(folders) and entry.path.endswith(".py")) for entry in self._base.entries())

    def _is_used(self, name: str) -> bool:
        imported = re.compile(rb"^[ \t]*(?:import|from)[ \t]+" + re.escape(name.encode()) + rb"\b", re.MULTILINE)
        names = "|".join(re.escape(each).replace(r"\-", "[-_.]") for each in (name, *_DISTRIBUTIONS.get(name, ())))
        declared = re.compile(rf"(?<![\w.-])(?:{names})(?![\w-])".encode(), re.IGNORECASE)
        read = 0
        for entry in self._base.entries():
            pattern = declared if _MANIFEST.fullmatch(entry.path.rpartition("/")[2].lower()) else imported if _is_product(entry) else None
            if pattern is None or not entry.is_file or entry.size > _MAX_FILE:
                continue
            read += entry.size
            if read > _MAX_TOTAL:
                return False
            if pattern.search(self._base.read(entry.path)):
                return True
        return False


def _is_product(entry: TreeEntry) -> bool:
    return entry.path.endswith(".py") and not is_test(entry.path)
