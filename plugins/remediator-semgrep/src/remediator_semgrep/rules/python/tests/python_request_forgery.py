import requests
from flask import request


def view():
    url = request.form["url"]
    # ruleid: python-request-forgery
    requests.get(url, timeout=3)
    # ruleid: python-request-forgery
    requests.get("https://" + url, timeout=3)
    # ok: python-request-forgery
    requests.get("https://example.org/" + url, timeout=3)
    # ok: python-request-forgery
    requests.get("https://example.org", params={"q": url}, timeout=3)
