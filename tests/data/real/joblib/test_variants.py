"""Other ways of writing code into pre_dispatch, and other ways to bring it there."""

import os

import pytest
from joblib import Parallel, delayed, parallel_backend

MARK = "JOBLIB_VARIANT_MARK"


class Text(str):
    """A setting that a configuration library wrapped."""


@pytest.fixture(autouse=True)
def clean():
    os.environ.pop(MARK, None)
    yield
    os.environ.pop(MARK, None)


def attempt(value, **more):
    try:
        Parallel(n_jobs=2, backend="threading", pre_dispatch=value, **more)(delayed(abs)(i) for i in range(4))
    except Exception as error:
        print("refused:", error)
    return MARK in os.environ


@pytest.mark.parametrize(
    "text",
    [
        "os.environ.update({'%s': '1'}) or 2" % MARK,
        "2 * n_jobs if os.environ.setdefault('%s', '1') else 1" % MARK,
        "2 * n_jobs + len(os.environ.setdefault('%s', '1'))" % MARK,
        "(lambda: os.environ.setdefault('%s', '1'))() and 2" % MARK,
        "[0 for os.environ['%s'] in ['1']] and 2" % MARK,
        "len(f\"{os.environ.setdefault('%s', '1')}\")" % MARK,
        "[c for c in ().__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0]"
        ".__init__.__globals__['environ'].setdefault('%s', '1') and 2" % MARK,
        "\tgetattr(__builtins__, 'eval', 0) or __builtins__['exec'](\"import os; os.environ['%s'] = '1'\") or 2" % MARK,
        "(2, os.environ.setdefault('%s', '1'))[0]" % MARK,
        "2*n_jobs or 1 if not os.environ.update(%s='1') else 2" % MARK,
    ],
    ids=["update", "conditional", "sum", "lambda", "no-call", "f-string", "no-builtins", "builtins", "tuple", "keyword"],
)
def test_variant_text(text):
    if "getattr" in text:
        text = text.replace("getattr(__builtins__, 'eval', 0) or ", "")
    assert not attempt(text)


def test_variant_subclass_of_text():
    assert not attempt(Text("os.environ.update(%s='1') or 2" % MARK))


def test_variant_bytes():
    assert not attempt(b"os.environ.update(%s='1') or 2" % MARK.encode())


def test_variant_attribute_set_later():
    pool = Parallel(n_jobs=2, backend="threading")
    pool.pre_dispatch = "os.environ.update(%s='1') or 2" % MARK
    try:
        pool(delayed(abs)(i) for i in range(4))
    except Exception as error:
        print("refused:", error)
    assert MARK not in os.environ


def test_variant_backend_from_context():
    try:
        with parallel_backend("threading", n_jobs=2):
            Parallel(pre_dispatch="os.environ.update(%s='1') or 2" % MARK)(delayed(abs)(i) for i in range(4))
    except Exception as error:
        print("refused:", error)
    assert MARK not in os.environ


def test_variant_object_of_the_call():
    pool = Parallel(n_jobs=2, backend="threading", pre_dispatch="self.__setattr__('verbose', 77) or 2")
    try:
        pool(delayed(abs)(i) for i in range(4))
    except Exception as error:
        print("refused:", error)
    assert pool.verbose != 77
