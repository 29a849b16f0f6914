"""The other kind of quotes, other lengths, other ways in."""

import io
import multiprocessing
import resource
import signal

import pytest
import sqlparse
from sqlparse import lexer


def is_quick(function, *arguments):
    """Tell whether a call ends within one second of its own processor time, however busy the machine is. A refusal counts as an end, a crash does not."""

    def work():
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (1, 2))
        try:
            function(*arguments)
        except ValueError as error:
            print("refused:", error)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(120)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode == 0


def consume_all(function, *arguments):
    for _ in function(*arguments):
        pass


@pytest.mark.parametrize("count", [64, 100, 150, 1001])
def test_variant_length(count):
    assert is_quick(sqlparse.parse, "select '" + "\\" * count)


def test_variant_double_quotes():
    assert is_quick(sqlparse.parse, 'select "' + "\\" * 300)


def test_variant_text_between():
    assert is_quick(sqlparse.parse, "select '" + "\\\\ab" * 60)


def test_variant_text_between_in_double_quotes():
    assert is_quick(sqlparse.parse, 'select "' + "\\\\ab" * 60)


def test_variant_escapes_of_the_other_quote():
    assert is_quick(sqlparse.parse, "select '" + '\\\\\\"' * 60)


def test_variant_over_many_lines():
    assert is_quick(sqlparse.parse, "select 1,\n 'a" + "\\\\\n" * 60 + " from t")


def test_variant_after_a_good_literal():
    assert is_quick(sqlparse.parse, "select 'good', \"good\", '" + "\\" * 200 + "; select 2")


def test_variant_format():
    assert is_quick(sqlparse.format, "select '" + "\\" * 200)


def test_variant_split():
    assert is_quick(sqlparse.split, "select 1; select '" + "\\" * 200)


def test_variant_tokenize():
    assert is_quick(consume_all, lexer.tokenize, "'" + "\\" * 200)


def test_variant_stream():
    assert is_quick(consume_all, sqlparse.parsestream, io.StringIO("'" + "\\" * 200))


def test_variant_bytes():
    assert is_quick(sqlparse.parse, b"select '" + b"\\" * 200)
