"""Numbers and sums in pre_dispatch, which people use."""

import threading
import time

import pytest
from joblib import Parallel, delayed


def dispatched_ahead(pre_dispatch, expected):
    """Count the items that are taken from the input before the first task ends."""
    taken, seen, gate = [], [], threading.Lock()

    def items():
        for number in range(60):
            taken.append(number)
            yield delayed(task)(number)

    def task(number):
        with gate:
            if not seen:
                end = time.monotonic() + 10
                while len(taken) < expected and time.monotonic() < end:
                    time.sleep(0.01)
                time.sleep(0.2)
                seen.append(len(taken))
        return number * 2

    result = Parallel(n_jobs=2, backend="threading", batch_size=1, pre_dispatch=pre_dispatch)(items())
    assert result == [number * 2 for number in range(60)]
    return seen[0]


@pytest.mark.parametrize(
    ("pre_dispatch", "expected"),
    [
        (3, 3),
        ("4", 4),
        ("n_jobs", 2),
        ("3*n_jobs", 6),
        ("2 * n_jobs", 4),
        ("1.5*n_jobs", 3),
        ("n_jobs + 5", 7),
        ("2*(n_jobs+1)", 6),
        ("20 // n_jobs", 10),
        ("n_jobs * 10 / 4", 5),
        ("-1 + 4*n_jobs", 7),
    ],
)
def test_control_amount(pre_dispatch, expected):
    assert dispatched_ahead(pre_dispatch, expected) == expected


def test_control_default():
    assert Parallel(n_jobs=2, backend="threading")(delayed(abs)(-i) for i in range(20)) == list(range(20))


def test_control_all():
    assert dispatched_ahead("all", 60) == 60


def test_control_one_job():
    assert Parallel(n_jobs=1, pre_dispatch="3*n_jobs")(delayed(abs)(-i) for i in range(5)) == list(range(5))


def test_control_tasks_that_use_eval_themselves():
    assert Parallel(n_jobs=2, backend="threading")(delayed(eval)("%d + 1" % i) for i in range(5)) == [1, 2, 3, 4, 5]


def test_control_words_that_are_no_sum():
    with pytest.raises(Exception):
        Parallel(n_jobs=2, backend="threading", pre_dispatch="many jobs")(delayed(abs)(i) for i in range(3))
