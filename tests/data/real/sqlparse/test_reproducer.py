"""A literal that is never closed must cost time in proportion to its length, whatever stands in it."""

import multiprocessing
import resource
import signal

import sqlparse


def is_quick(function, *arguments):
    """Tell whether a call ends within one second of its own processor time, however busy the machine is. A refusal counts as an end, a crash does not."""

    def work():
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (1, 2))
        try:
            function(*arguments)
        except ValueError as error:
            print("refused:", error)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(120)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode == 0


def test_reproducer():
    text = "select '" + "\\" * 300
    assert is_quick(sqlparse.parse, text), "300 characters of an open literal had no good end within a second"
