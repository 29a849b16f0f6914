"""Commands."""
import subprocess
import pickle


def run(command):
    """Run a command."""
    return subprocess.check_output("echo " + command, shell=True)


def load(data):
    """Load data."""
    return pickle.loads(data)


def calc(text):
    """Return the value of a literal."""
    return eval(text)
