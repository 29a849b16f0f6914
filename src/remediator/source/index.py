"""The package index, asked through its simple API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from remediator.errors import SourceError
from remediator.redact import Redactor, printable

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage

_TIMEOUT = (10.0, 60.0)
_PAGE_BYTES = 128 * 1024 * 1024
_CHUNK = 256 * 1024
_TRUST_STORE = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def fail(what: str, hint: str) -> SourceError:
    """Return the error for something that the index did; secrets in addresses are blanked."""
    return SourceError(printable(Redactor()(what)), hint=hint)


class Index:
    """An index and the session that talks to it. Only what the caller passes decides on proxies, certificates and the address."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def __enter__(self) -> Index:
        from pypi_simple import PYPI_SIMPLE_ENDPOINT, PyPISimple

        address = (
            self._env.get("PIP_INDEX_URL") or self._env.get("UV_DEFAULT_INDEX") or self._env.get("UV_INDEX_URL") or PYPI_SIMPLE_ENDPOINT
        )
        self._check(address)
        self._session = _session(self._env)
        self._client = PyPISimple(address, session=self._session)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._session.close()

    def versions(self, name: str) -> list[DistributionPackage]:
        """Return all files that were published under a name. Raises SourceError."""
        import requests
        from pypi_simple import NoSuchProjectError, UnsupportedContentTypeError, UnsupportedRepoVersionError

        try:
            return list(self._client.get_project_page(name, timeout=_TIMEOUT).packages)
        except NoSuchProjectError as error:
            raise SourceError(f"the index has no package {name!r}", hint="check the spelling") from error
        except (requests.RequestException, UnsupportedContentTypeError, UnsupportedRepoVersionError, ValueError) as error:
            raise fail(
                f"the index cannot be read: {error}", "check the network, the proxy and the certificates, or try again later"
            ) from error

    def content(self, url: str, name: str) -> Iterator[bytes]:
        """Yield a published file's bytes. Raises SourceError."""
        import requests

        self._check(url)
        try:
            with self._session.get(url, stream=True, timeout=_TIMEOUT, headers={"Accept-Encoding": "identity"}) as answer:
                answer.raise_for_status()
                yield from answer.iter_content(_CHUNK)
        except requests.RequestException as error:
            raise fail(f"{name} cannot be fetched: {error}", "try again later") from error

    def _check(self, url: str) -> None:
        if not _acceptable(url):
            raise fail(f"{url} is not an https address", "use an index that is served by https")


def _acceptable(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def _session(env: Mapping[str, str]) -> Any:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    class Session(requests.Session):
        """Refuses to be led from https to anything else, and answers that are larger than any page should be."""

        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            if not _acceptable(request.url or ""):
                raise requests.exceptions.InvalidSchema(f"{request.url} is not an https address")
            options["proxies"] = _proxies(env, request.url or "")
            answer = super().send(request, **{**options, "stream": True})
            if not options.get("stream"):
                _load(answer)
            return answer

        def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
            before, after = urlsplit(response.request.url or ""), urlsplit(prepared_request.url or "")
            if before.scheme == "https" and after.scheme != "https":
                raise requests.exceptions.InvalidSchema(f"{response.request.url} leads to {prepared_request.url}, which is not https")
            super().rebuild_auth(prepared_request, response)  # type: ignore[no-untyped-call]

    session = Session()
    session.trust_env = False
    session.max_redirects = 5
    session.verify = next((env[name] for name in _TRUST_STORE if env.get(name)), True)
    retry = Retry(total=3, backoff_factor=0.5, status_forcelist=(429, 502, 503, 504), allowed_methods=("GET",), raise_on_status=False)
    session.mount("https://", HTTPAdapter(max_retries=retry))
    session.mount("http://", HTTPAdapter(max_retries=retry))
    return session


def _load(answer: Any) -> None:
    import requests

    data = bytearray()
    for chunk in answer.iter_content(_CHUNK):
        data += chunk
        if len(data) > _PAGE_BYTES:
            answer.close()
            raise requests.exceptions.ContentDecodingError(f"the answer has more than {_PAGE_BYTES} bytes")
    # This is what requests itself keeps of an answer that was read whole.
    answer._content, answer._content_consumed = bytes(data), True


def _proxies(env: Mapping[str, str], url: str) -> dict[str, str]:
    from requests.utils import should_bypass_proxies

    none = env.get("NO_PROXY") or env.get("no_proxy")
    if none and should_bypass_proxies(url, no_proxy=none):
        return {}
    both = env.get("ALL_PROXY") or env.get("all_proxy")
    found = {
        "https": env.get("HTTPS_PROXY") or env.get("https_proxy") or both,
        "http": env.get("HTTP_PROXY") or env.get("http_proxy") or both,
    }
    return {scheme: proxy for scheme, proxy in found.items() if proxy}
