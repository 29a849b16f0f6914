from flask import request


def view(user):
    # ruleid: python-format-from-request
    request.args["greeting"].format(user=user)
    # ok: python-format-from-request
    "Hello {}".format(request.args["name"])
