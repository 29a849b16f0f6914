"""Headers that were read rightly before."""

import io

import multipart
import pytest
from multipart.multipart import parse_options_header


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", (b"", {})),
        ("text/Plain ", (b"text/plain", {})),
        (b"text/plain; charset=utf-8", (b"text/plain", {b"charset": b"utf-8"})),
        ('text/plain; charset="utf-8"', (b"text/plain", {b"charset": b"utf-8"})),
        ("text/plain;A = b ; c=d", (b"text/plain", {b"a": b"b", b"c": b"d"})),
        ('text/plain; a="b;c=d"', (b"text/plain", {b"a": b"b;c=d"})),
        ('text/plain; a=""', (b"text/plain", {b"a": b""})),
        (r'text/plain; a="b\"c"', (b"text/plain", {b"a": b'b"c'})),
        (r'text/plain; a="b\\c"; d=e', (b"text/plain", {b"a": b"b\\c", b"d": b"e"})),
        (r'text/plain; a="b\\"; d=e', (b"text/plain", {b"a": b"b\\", b"d": b"e"})),
        (r'form-data; name="f"; filename="C:\dir\file.txt"', (b"form-data", {b"name": b"f", b"filename": b"file.txt"})),
        (r'form-data; name="C:\dir\file.txt"', (b"form-data", {b"name": b"C:\\dir\\file.txt"})),
        ('form-data; name="a name with spaces"', (b"form-data", {b"name": b"a name with spaces"})),
        (b'form-data; name="\xc3\xa4"', (b"form-data", {b"name": b"\xc3\xa4"})),
    ],
)
def test_control_header(header, expected):
    assert parse_options_header(header) == expected


def test_control_long_value():
    assert parse_options_header('text/plain; a="' + "x" * 5000 + '"')[1] == {b"a": b"x" * 5000}


def test_control_long_quoted_value_with_escapes():
    assert parse_options_header('text/plain; a="' + "\\\\" * 200 + '"')[1] == {b"a": b"\\" * 200}


def test_control_many_parameters():
    header = "text/plain" + "".join('; k%d="v%d"' % (number, number) for number in range(200))
    assert len(parse_options_header(header)[1]) == 200


def test_control_form():
    body = (
        b'--b\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n'
        b'--b\r\nContent-Disposition: form-data; name="up"; filename="a \\"b\\".txt"\r\n\r\ncontent\r\n--b--\r\n'
    )
    fields, files = [], []
    headers = {"Content-Type": b"multipart/form-data; boundary=b", "Content-Length": str(len(body)).encode()}
    multipart.parse_form(headers, io.BytesIO(body), fields.append, files.append)
    assert [(field.field_name, field.value) for field in fields] == [(b"field", b"value")]
    assert [(file.field_name, file.file_name) for file in files] == [(b"up", b'a "b".txt')]


def test_control_quoted_boundary():
    body = b'--b b\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n--b b--\r\n'
    fields = []
    headers = {"Content-Type": b'multipart/form-data; boundary="b b"', "Content-Length": str(len(body)).encode()}
    multipart.parse_form(headers, io.BytesIO(body), fields.append, lambda file: None)
    assert [field.value for field in fields] == [b"value"]
