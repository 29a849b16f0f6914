import subprocess
from subprocess import Popen, PIPE
import subprocess as sp


def run(name, command):
    # ruleid: python-subprocess-shell
    subprocess.call("ls " + name, shell=True)
    # ruleid: python-subprocess-shell
    subprocess.run(f"ls {name}", shell=True, check=True)
    # ruleid: python-subprocess-shell
    Popen(command, stdout=PIPE, shell=True)
    # ruleid: python-subprocess-shell
    sp.check_output("ls %s" % name, stderr=sp.STDOUT, shell=True)
    line = "grep {}".format(name)
    # ruleid: python-subprocess-shell
    subprocess.check_call(line, shell=True)
    # ruleid: python-subprocess-shell
    subprocess.call(args=command, shell=True)


def safe(name):
    # ok: python-subprocess-shell
    subprocess.call(["ls", name])
    # ok: python-subprocess-shell
    subprocess.call("ls -l", shell=True)
    fixed = "ls -l"
    # ok: python-subprocess-shell
    subprocess.call(fixed, shell=True)
    # ok: python-subprocess-shell
    subprocess.run(["ls", name], shell=False)
