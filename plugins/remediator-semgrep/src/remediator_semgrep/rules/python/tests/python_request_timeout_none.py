import requests


def fetch(url):
    # ruleid: python-request-timeout-none
    requests.get(url, timeout=None)
    # ok: python-request-timeout-none
    requests.get(url, timeout=5)
