"""All transforms, in the order in which they are tried: those that change something first, then those that only say why not."""

from __future__ import annotations

from remediator.builtin.codemods.advice import (
    BindAll,
    CleartextProtocol,
    HardCodedSecret,
    LoggedSecret,
    OpenRedirect,
    TemplateFromText,
    WeakCipher,
)
from remediator.builtin.codemods.archive_extract import TarExtract
from remediator.builtin.codemods.assert_raise import AssertRaise
from remediator.builtin.codemods.compare_digest import CompareDigest
from remediator.builtin.codemods.cookie_flags import CookieFlags
from remediator.builtin.codemods.cookie_settings import CookieSettings
from remediator.builtin.codemods.debug_mode import DebugMode
from remediator.builtin.codemods.deserialise import ObjectReader, TorchWeightsOnly
from remediator.builtin.codemods.file_mode import FileMode
from remediator.builtin.codemods.host_keys import HostKeys
from remediator.builtin.codemods.html_response import HtmlResponse
from remediator.builtin.codemods.jinja_autoescape import JinjaAutoescape
from remediator.builtin.codemods.jwt_verify import JwtVerify
from remediator.builtin.codemods.literal_eval import LiteralEval
from remediator.builtin.codemods.lxml_parser import LxmlParser
from remediator.builtin.codemods.markup_format import MarkupFormat
from remediator.builtin.codemods.os_command import AsyncioExec, OsPopenArgv, OsSystemArgv
from remediator.builtin.codemods.query_escape import LdapEscape, XpathVariables
from remediator.builtin.codemods.request_timeout import RequestTimeout
from remediator.builtin.codemods.sql_parameters import SqlParameters
from remediator.builtin.codemods.sqlalchemy_text import SqlalchemyText
from remediator.builtin.codemods.ssl_context import SslContext
from remediator.builtin.codemods.subprocess_argv import SubprocessArgv
from remediator.builtin.codemods.system_random import SystemRandom
from remediator.builtin.codemods.template_variables import TemplateVariables
from remediator.builtin.codemods.temporary_file import TemporaryFile
from remediator.builtin.codemods.tls_verify import TlsVerify
from remediator.builtin.codemods.transform import Transform
from remediator.builtin.codemods.upload_path import SecureFilename, SendFromDirectory
from remediator.builtin.codemods.weak_hash import WeakHash
from remediator.builtin.codemods.weak_key_size import WeakKeySize
from remediator.builtin.codemods.xml_defused import DefusedXml
from remediator.builtin.codemods.xml_sax import SaxExternalEntities
from remediator.builtin.codemods.yaml_load import YamlSafeLoad

TRANSFORMS: tuple[Transform, ...] = (
    YamlSafeLoad(),
    TorchWeightsOnly(),
    LiteralEval(),
    SubprocessArgv(),
    OsSystemArgv(),
    OsPopenArgv(),
    AsyncioExec(),
    SqlParameters(),
    SqlalchemyText(),
    LdapEscape(),
    XpathVariables(),
    WeakHash(),
    WeakKeySize(),
    SystemRandom(),
    CompareDigest(),
    TemporaryFile(),
    FileMode(),
    TarExtract(),
    SecureFilename(),
    SendFromDirectory(),
    SaxExternalEntities(),
    LxmlParser(),
    DefusedXml(),
    TlsVerify(),
    SslContext(),
    HostKeys(),
    RequestTimeout(),
    JinjaAutoescape(),
    MarkupFormat(),
    HtmlResponse(),
    TemplateVariables(),
    DebugMode(),
    CookieSettings(),
    CookieFlags(),
    JwtVerify(),
    AssertRaise(),
    ObjectReader(),
    WeakCipher(),
    OpenRedirect(),
    TemplateFromText(),
    BindAll(),
    LoggedSecret(),
    HardCodedSecret(),
    CleartextProtocol(),
)
