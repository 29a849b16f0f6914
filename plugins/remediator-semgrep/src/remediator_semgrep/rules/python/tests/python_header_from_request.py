from urllib.parse import quote

from flask import make_response, request


def view():
    response = make_response("")
    # ruleid: python-header-from-request
    response.headers["X-Name"] = request.args["name"]
    # ok: python-header-from-request
    response.headers["X-Name"] = quote(request.args["name"])
    # ok: python-header-from-request
    response.headers["X-Name"] = "fixed"
