import os

import jwt
from flask import Flask

app = Flask(__name__)
# ruleid: python-hardcoded-secret-key
app.secret_key = "b3f1c0ffee77d00d"
# ruleid: python-hardcoded-secret-key
app.config["SECRET_KEY"] = "b3f1c0ffee77d00d"
# ruleid: python-hardcoded-secret-key
SECRET_KEY = "x8#k2)q0f-3mz!v7"
# ok: python-hardcoded-secret-key
app.secret_key = os.environ["SECRET_KEY"]
# ok: python-hardcoded-secret-key
app.config["SECRET_KEY"] = "change-me"


def sign(claims, key):
    # ruleid: python-hardcoded-secret-key
    jwt.encode(claims, "b3f1c0ffee77d00d", algorithm="HS256")
    # ok: python-hardcoded-secret-key
    jwt.encode(claims, key, algorithm="HS256")
