"""What the log of a failed attempt says about its cause, and what to change for the next one: a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from remediator.recipe.python.distributions import distribution_of, plugin_of


class Remedy(NamedTuple):
    """One change of a plan. `kind` is constrain, build, require, forget, older, warnings, folder, django, undated, static or
    pytest-step."""

    kind: str
    value: str
    because: str


class _Symptom(NamedTuple):
    pattern: str
    kind: str
    value: str = ""


_TABLE = (
    # PyYAML
    _Symptom(r"load(_all)?\(\) missing 1 required positional argument: 'Loader'", "constrain", "PyYAML<6"),
    _Symptom(r"cython_sources|'build_ext' object has no attribute 'cython_sources'", "build", "cython<3"),
    # building
    _Symptom(r"No module named 'setuptools\.command\.test'", "build", "setuptools<72"),
    _Symptom(r"use_2to3 is invalid", "build", "setuptools<58"),
    _Symptom(r"No module named 'setuptools\._?distutils\.msvccompiler'|has no attribute 'msvccompiler'", "build", "setuptools<74"),
    _Symptom(r"No module named 'pkg_resources'", "build", "setuptools<81"),
    _Symptom(r"No module named 'pkg_resources'", "require", "setuptools<81"),
    _Symptom(r"Invalid dash-separated key|invalid-dash|Usage of dash-separated", "build", "setuptools<78"),
    _Symptom(r"'extras_require' must be a dictionary|error in .* setup command: 'tests_require'", "build", "setuptools<72"),
    _Symptom(r"setup\(\) got an unexpected keyword argument|canonicalize_version\(\) got an unexpected", "build", "setuptools<71"),
    _Symptom(
        r"Cython\.Compiler\.Errors|undeclared name not builtin: (long|unicode|basestring)|cython.*language_level", "build", "cython<3"
    ),
    _Symptom(r"license_file|project\.license.*must be valid exactly by one definition", "build", "setuptools<77"),
    _Symptom(
        r"Failed to build|Call to `[\w.]+` failed|build backend returned an error|Failed to (?:generate|prepare) package metadata", "static"
    ),
    _Symptom(r"missing an upload date", "undated"),
    # the interpreter is too new
    _Symptom(
        r"cannot import name '(Mapping|MutableMapping|Sequence|Iterable|Callable|Hashable|Set|Sized|Iterator)' from 'collections'",
        "older",
    ),
    _Symptom(
        r"module 'collections' has no attribute '(Mapping|MutableMapping|Sequence|Iterable|Callable|Hashable|MutableSet|Set|OrderedDict)'",
        "older",
    ),
    _Symptom(
        r"No module named '(imp|distutils|asyncore|asynchat|smtpd|cgi|telnetlib|pipes|crypt|imghdr|audioop|lib2to3)'",
        "older",
    ),
    _Symptom(r"module 'inspect' has no attribute '(getargspec|formatargspec)'", "older"),
    _Symptom(r"module 'asyncio' has no attribute '(coroutine|async|get_event_loop_policy)'", "older"),
    _Symptom(
        r"object has no attribute '(assertEquals|assertRaisesRegexp|assertRegexpMatches|assertItemsEqual|failUnless|assert_)'", "older"
    ),
    _Symptom(r"module 'ast' has no attribute '(Str|Num|NameConstant|Bytes)'|module 'unittest' has no attribute 'makeSuite'", "older"),
    _Symptom(
        r"'ElementTree' object has no attribute 'getiterator'|has no attribute 'getchildren'|'Thread' object has no attribute 'isAlive'",
        "older",
    ),
    _Symptom(r"module 'pkgutil' has no attribute 'ImpImporter'|module 'configparser' has no attribute 'SafeConfigParser'", "older"),
    _Symptom(r"PY_SSIZE_T_CLEAN macro must be defined|module 'time' has no attribute 'clock'|has no attribute 'tostring'", "older"),
    # pytest is too new
    _Symptom(r"\[pytest\] section in setup\.cfg files is no longer supported", "constrain", "pytest<4"),
    _Symptom(r"AssertionRewritingHook\.is_package\(\) method is missing", "constrain", "pytest<5"),
    _Symptom(r"yield tests were removed in pytest 4|'yield' keyword is allowed in fixtures, but not in tests", "constrain", "pytest<4"),
    _Symptom(r'Fixture ".*" called directly', "constrain", "pytest<4"),
    _Symptom(r"'(Function|TestCaseFunction|Node|Item|Module)' object has no attribute 'get_marker'", "constrain", "pytest<4"),
    _Symptom(r"'Metafunc' object has no attribute '(addcall|funcargnames)'|has no attribute 'getfuncargvalue'", "constrain", "pytest<4"),
    _Symptom(r"module 'pytest' has no attribute 'config'|raises\(\) got an unexpected keyword argument 'message'", "constrain", "pytest<5"),
    _Symptom(r"Unexpected keyword arguments passed to pytest\.raises: message", "constrain", "pytest<5"),
    _Symptom(r"Direct construction of .* has been deprecated|Direct construction of _pytest", "constrain", "pytest<6"),
    _Symptom(r"module 'pytest' has no attribute '(yield_fixture|warns_|collect|Instance)'", "constrain", "pytest<7"),
    _Symptom(
        r"calling hook with positional arguments|PytestRemovedIn8Warning|py\.path\.local.*argument is deprecated", "constrain", "pytest<8"
    ),
    _Symptom(r"pytest\.PytestRemovedIn9Warning|PytestRemovedIn9Warning", "constrain", "pytest<9"),
    _Symptom(r"Marks applied to fixtures have no effect|Support for nose tests is deprecated", "constrain", "pytest<8"),
    _Symptom(r"fixture function .* expected .*pytest_funcarg__|pytest_funcarg__", "constrain", "pytest<4"),
    _Symptom(
        r"No module named '_pytest\.(assertion\.newinterpret|mark\.legacy)'|cannot import name '\w+' from '_pytest", "constrain", "pytest<7"
    ),
    _Symptom(
        r"path.*fspath.* arguments? .*deprecated|unknown hook 'pytest_(namespace|warning_captured|cmdline_preparse)'",
        "constrain",
        "pytest<7",
    ),
    _Symptom(r"required field \"?(lineno|type_ignores|posonlyargs|end_lineno)\"? missing", "constrain", "pytest>=6"),
    _Symptom(r"async def functions are not natively supported|PytestUnhandledCoroutineWarning", "require", "pytest-asyncio"),
    # well-known breaks between libraries
    _Symptom(
        r"cannot import name '(Markup|escape|contextfunction|contextfilter|environmentfilter|evalcontextfilter)' from 'jinja2'",
        "constrain",
        "jinja2<3.1",
    ),
    _Symptom(r"cannot import name 'soft_unicode' from 'markupsafe'", "constrain", "markupsafe<2.1"),
    _Symptom(
        r"cannot import name '(url_quote|url_decode|url_encode|url_parse|url_unquote|safe_str_cmp|BaseResponse)' from 'werkzeug",
        "constrain",
        "werkzeug<2.1",
    ),
    _Symptom(
        r"cannot import name '(cached_property|generate_password_hash|secure_filename|BaseResponse)' from 'werkzeug'",
        "constrain",
        "werkzeug<1",
    ),
    _Symptom(
        r"cannot import name '(_request_ctx_stack|_app_ctx_stack|escape|Markup|json_available|JSONEncoder)' from 'flask",
        "constrain",
        "flask<2.3",
    ),
    _Symptom(r"module 'flask' has no attribute|'Flask' object has no attribute 'before_first_request'", "constrain", "flask<2.3"),
    _Symptom(r"No module named 'flask\.ext'|No module named 'flask\._compat'", "constrain", "flask<1"),
    _Symptom(
        r"cannot import name '(get_terminal_size|_bashcomplete)' from 'click|module 'click' has no attribute 'get_terminal_size'",
        "constrain",
        "click<8.1",
    ),
    _Symptom(r"CliRunner\.__init__\(\) got an unexpected keyword argument 'mix_stderr'", "constrain", "click<8.2"),
    _Symptom(r"cannot import name 'json' from 'itsdangerous'", "constrain", "itsdangerous<2.1"),
    _Symptom(r"No module named 'django\.(core\.urlresolvers|utils\.encoding.*force_text)'", "constrain", "django<2"),
    _Symptom(r"cannot import name '(six|lru_cache|python_2_unicode_compatible)' from 'django\.utils", "constrain", "django<3"),
    _Symptom(
        r"cannot import name '(ugettext|ugettext_lazy|force_text|smart_text|url|is_safe_url)' from 'django",
        "constrain",
        "django<4",
    ),
    _Symptom(r"module 'numpy' has no attribute '(int|float|bool|object|complex|str)'|numpy has no attribute", "constrain", "numpy<1.24"),
    _Symptom(
        r"`np\.\w+` was removed in the NumPy 2\.0|compiled using NumPy 1\.x cannot be run in\s+NumPy 2|numpy\.dtype size changed",
        "constrain",
        "numpy<2",
    ),
    _Symptom(
        r"cannot import name 'DEFAULT_CIPHERS' from 'urllib3|No module named 'urllib3\.contrib\.appengine'|method_whitelist",
        "constrain",
        "urllib3<2",
    ),
    _Symptom(
        r"No module named 'sqlalchemy\.ext\.declarative\.api'|Textual SQL expression .* should be",
        "constrain",
        "sqlalchemy<2",
    ),
    _Symptom(
        r"pydantic\.errors\.PydanticImportError|PydanticUserError|cannot import name 'BaseSettings' from 'pydantic'",
        "constrain",
        "pydantic<2",
    ),
    _Symptom(
        r"cannot import name '(NullHandler|parse_options_header)' from|attrib\(\) got an unexpected keyword argument 'convert'",
        "constrain",
        "attrs<19.2",
    ),
    _Symptom(r"No module named 'attr\._make'|attr\.s\(\) got an unexpected", "constrain", "attrs<21"),
    _Symptom(
        r"HealthCheck.*(?:hung_test|random_module)|module 'hypothesis' has no attribute|Settings\.__init__\(\) got an unexpected",
        "constrain",
        "hypothesis<4",
    ),
    _Symptom(r"Client\.__init__\(\) got an unexpected keyword argument 'app'", "constrain", "httpx<0.28"),
    _Symptom(
        r"module 'coverage' has no attribute|No module named 'importlib_metadata\._compat'|'EntryPoints' object has no attribute 'get'",
        "constrain",
        "importlib_metadata<5",
    ),
    _Symptom(
        r"cannot import name '(resultsdict|tostr)' from 'docutils|module 'docutils.nodes' has no attribute 'reprunicode'",
        "constrain",
        "docutils<0.18",
    ),
    _Symptom(r"No module named 'httpbin'.*|cannot import name 'httpbin'", "require", "httpbin"),
    _Symptom(
        r"algorithm_?s? .*is not supported|JWT\.decode\(\) missing 1 required|decode\(\) missing .*'algorithms'", "constrain", "PyJWT<2"
    ),
    _Symptom(
        r"module 'Crypto|Cryptography.*not.*support|cannot import name '(RSAPrivateKeyWithSerialization|_EllipticCurvePrivateKey)'",
        "constrain",
        "cryptography<40",
    ),
    # the project's own settings
    _Symptom(r"FileNotFoundError: \[Errno 2\] No such file or directory: '(?!/)[\w.]", "folder"),
    _Symptom(
        r"(?m)^E\s+(?:[\w.]+\.)?(?:Pending)?DeprecationWarning:|^E\s+(?:[\w.]+\.)?(?:Future|User|Syntax|Resource|PytestWarning|PytestUnknownMark|PytestReturnNotNone|PytestUnraisableException)\w*:",
        "warnings",
    ),
    _Symptom(r"PytestUnknownMarkWarning|not found in `markers` configuration option|PytestConfigWarning", "warnings"),
    _Symptom(r"INTERNALERROR>|ImportError while loading conftest.*_pytest|pytest\.PytestCollectionWarning.*Error", "pytest-step"),
    _Symptom(
        r"Requested setting \w+, but settings are not configured|DJANGO_SETTINGS_MODULE|django\.core\.exceptions\.AppRegistryNotReady",
        "django",
    ),
)
_COMPILED = tuple((re.compile(symptom.pattern), symptom) for symptom in _TABLE)
_MISSING = re.compile(r"No module named '?([A-Za-z_][\w.]*)'?")
_FIXTURE = re.compile(r"fixture '(\w+)' not found")
_UNSOLVABLE = re.compile(
    r"Because (?:only )?([\w.-]+?)(?:[<>=!~].*?)? (?:was not found in the package registry|has no wheels|could not be found)|"
    r"there (?:is|are) no versions? of ([\w.-]+?)(?:[<>=!~{]|\b)"
)
_FAILED_BUILD = re.compile(r"(?:Failed to (?:build|download and build)|Building) `?([\w.-]+)[=@ ]+=?([\w.]+)`?")
_WARNINGS = re.compile(r"(?ms)^=+ warnings summary .*?^(?==)")
_LOG_CHARS = 400_000
_LINE_CHARS = 1000


def remedies(log: str, own_modules: frozenset[str]) -> Iterator[Remedy]:
    """Yield what to change, the surest first. `own_modules` are the project's, which no distribution may replace."""
    text = log if len(log) <= _LOG_CHARS else log[: _LOG_CHARS // 2] + log[-_LOG_CHARS // 2 :]
    # A warning is no failure, but often has the words of one.
    text = _WARNINGS.sub("", "\n".join(line[:_LINE_CHARS] for line in text.splitlines()))
    for pattern, symptom in _COMPILED:
        found = pattern.search(text)
        if found:
            yield Remedy(symptom.kind, symptom.value, " ".join(found[0].split())[:120])
    for name in dict.fromkeys(_MISSING.findall(text)):
        distribution = "" if name.split(".")[0] in own_modules else distribution_of(name)
        if distribution:
            yield Remedy("require", distribution, f"No module named '{name}'")
    for fixture in dict.fromkeys(_FIXTURE.findall(text)):
        if plugin_of(fixture):
            yield Remedy("require", plugin_of(fixture), f"fixture '{fixture}' not found")
    for groups in dict.fromkeys(_UNSOLVABLE.findall(text)):
        yield Remedy("forget", next(filter(None, groups)), f"no distribution of {next(filter(None, groups))}")
    for name, version in dict.fromkeys(_FAILED_BUILD.findall(text)):
        yield Remedy("forget", name, f"{name} {version} does not build")
