import subprocess

from flask import request


def view(client):
    name = request.args.get("name")
    # ruleid: python-tainted-program
    subprocess.run([name, "--help"])
    # ruleid: python-tainted-program
    client.exec_command("ls " + name)
    # ok: python-tainted-program
    subprocess.run(["ls", name])
