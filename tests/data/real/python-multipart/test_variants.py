"""Other parameters, lengths and contents, bytes in place of text, and the parsers that read headers of a request."""

import io
import multiprocessing
import resource
import signal

import multipart
import pytest
from multipart.multipart import parse_options_header


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


@pytest.mark.parametrize("count", [70, 100, 150, 1001])
def test_variant_length(count):
    assert is_quick(parse_options_header, 'application/x-www-form-urlencoded; boundary="' + "\\" * count)


def test_variant_bytes():
    assert is_quick(parse_options_header, b'application/x-www-form-urlencoded; boundary="' + b"\\" * 200)


def test_variant_other_parameter():
    assert is_quick(parse_options_header, 'form-data; name="' + "\\" * 200)


def test_variant_file_name():
    assert is_quick(parse_options_header, 'form-data; name="a"; filename="' + "\\" * 200)


def test_variant_letters_after_the_backslashes():
    assert is_quick(parse_options_header, b'text/plain; a="' + b"\\x" * 100)


def test_variant_pairs_of_backslashes_with_text_between():
    assert is_quick(parse_options_header, b'text/plain; a="' + b"\\\\-" * 100)


def test_variant_one_good_parameter_before():
    assert is_quick(parse_options_header, 'text/plain; a="good \\" one"; b="' + "\\!" * 80 + "; c=d")


def test_variant_content_type_of_a_request():
    headers = {"Content-Type": b'application/x-www-form-urlencoded; !="' + b"\\" * 200}
    assert is_quick(multipart.parse_form, headers, io.BytesIO(b"a=b"), lambda field: None, lambda file: None)


def test_variant_form_parser():
    headers = {"Content-Type": b'application/x-www-form-urlencoded; !="' + b"\\" * 200}
    assert is_quick(multipart.create_form_parser, headers, lambda field: None, lambda file: None)


def test_variant_header_of_a_part():
    body = b'--b\r\nContent-Disposition: form-data; name="' + b"\\" * 200 + b"\r\n\r\nx\r\n--b--\r\n"
    headers = {"Content-Type": b"multipart/form-data; boundary=b", "Content-Length": str(len(body)).encode()}
    assert is_quick(multipart.parse_form, headers, io.BytesIO(body), lambda field: None, lambda file: None)
