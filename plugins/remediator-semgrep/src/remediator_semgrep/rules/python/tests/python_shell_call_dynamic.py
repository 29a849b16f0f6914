import asyncio
import os
import subprocess
from os import popen


def run(name):
    # ruleid: python-shell-call-dynamic
    os.system("rm " + name)
    # ruleid: python-shell-call-dynamic
    os.system(f"rm {name}")
    # ruleid: python-shell-call-dynamic
    popen("cat %s" % name).read()
    # ruleid: python-shell-call-dynamic
    subprocess.getoutput("cat {}".format(name))
    # ok: python-shell-call-dynamic
    os.system("clear")
    # ok: python-shell-call-dynamic
    os.popen("uname -a")
    # ok: python-shell-call-dynamic
    subprocess.run(["cat", name])


async def later(name):
    # ruleid: python-shell-call-dynamic
    await asyncio.create_subprocess_shell(f"ls {name}")
