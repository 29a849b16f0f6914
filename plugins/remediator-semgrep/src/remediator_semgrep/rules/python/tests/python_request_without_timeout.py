import requests


def fetch(url, options):
    # ruleid: python-request-without-timeout
    requests.get(url)
    # ruleid: python-request-without-timeout
    requests.post(url, data={"a": 1})
    # ok: python-request-without-timeout
    requests.get(url, timeout=10)
    # ok: python-request-without-timeout
    requests.get(url, **options)
    # ok: python-request-without-timeout
    requests.Session()
