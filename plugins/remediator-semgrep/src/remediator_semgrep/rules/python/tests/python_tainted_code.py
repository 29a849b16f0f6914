import importlib

from flask import request


def view():
    # ruleid: python-tainted-code
    importlib.import_module(request.args["module"])
    # ok: python-tainted-code
    importlib.import_module("json")
