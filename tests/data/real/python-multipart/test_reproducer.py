"""A header with a quoted value that is never closed must be read in time in proportion to its length."""

import multiprocessing
import resource
import signal

from multipart.multipart import parse_options_header


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
    header = 'application/x-www-form-urlencoded; boundary="' + "\\" * 300
    assert is_quick(parse_options_header, header), "345 characters of a header had no good end within a second"
