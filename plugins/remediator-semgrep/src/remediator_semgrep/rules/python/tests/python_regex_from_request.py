import re

from flask import request


def view(text):
    # ruleid: python-regex-from-request
    re.search(request.args["q"], text)
    # ok: python-regex-from-request
    re.search(re.escape(request.args["q"]), text)
    # ok: python-regex-from-request
    re.search("^a", request.args["q"])
