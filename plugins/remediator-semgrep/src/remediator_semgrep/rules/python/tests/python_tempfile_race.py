import os
import tempfile


def make():
    # ruleid: python-tempfile-race
    name = tempfile.mktemp(suffix=".txt")
    # ruleid: python-tempfile-race
    os.tempnam()
    # ok: python-tempfile-race
    tempfile.mkstemp()
    # ok: python-tempfile-race
    tempfile.NamedTemporaryFile()
