import os

from django.http import FileResponse
from fastapi import FastAPI
from flask import Flask, request, send_file, send_from_directory
from werkzeug.utils import secure_filename

app = Flask(__name__)
api = FastAPI()


@app.route("/files/<name>")
def one(name):
    # ruleid: python-path-from-request
    return send_file(os.path.join("/srv", name))


@app.route("/two")
def two():
    name = request.args["name"]
    # ruleid: python-path-from-request
    with open("/srv/" + name) as file:
        return file.read()


@api.get(
    "/three",
    response_model=dict(),
)
@limited
async def three(number: int, name: str = Query(default=str())):
    # ruleid: python-path-from-request
    os.remove(f"/srv/{name}")


def four(request):
    # ruleid: python-path-from-request
    return open(request.GET.get("name"))


@app.route("/safe")
def safe():
    name = request.args["name"]
    # ok: python-path-from-request
    send_from_directory("/srv", name)
    # ok: python-path-from-request
    open(os.path.join("/srv", secure_filename(name)))
    # ok: python-path-from-request
    open("/srv/fixed")
