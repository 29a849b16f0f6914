from flask import request


def view(User):
    # ruleid: python-mass-assignment
    User(**request.json)
    # ok: python-mass-assignment
    User(name=request.json["name"])
