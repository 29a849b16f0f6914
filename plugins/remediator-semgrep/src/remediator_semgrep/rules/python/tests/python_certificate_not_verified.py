import aiohttp
import requests
import httpx
import urllib3


def fetch(url, session, bundle):
    # ruleid: python-certificate-not-verified
    requests.get(url, verify=False)
    # ruleid: python-certificate-not-verified
    session.post(url, data={}, verify=False, timeout=3)
    # ruleid: python-certificate-not-verified
    httpx.Client(verify=False)
    # ruleid: python-certificate-not-verified
    urllib3.PoolManager(cert_reqs="CERT_NONE")
    # ruleid: python-certificate-not-verified
    aiohttp.TCPConnector(ssl=False)
    # ok: python-certificate-not-verified
    requests.get(url, verify=True)
    # ok: python-certificate-not-verified
    requests.get(url, verify=bundle)
    # ok: python-certificate-not-verified
    requests.get(url)
    # ok: python-certificate-not-verified
    schema.load(url, verify=False)
