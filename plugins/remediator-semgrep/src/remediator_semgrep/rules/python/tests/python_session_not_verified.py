import requests


def fetch():
    session = requests.Session()
    # ruleid: python-session-not-verified
    session.verify = False
    # ok: python-session-not-verified
    session.verify = True
