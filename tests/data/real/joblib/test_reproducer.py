"""How many tasks to dispatch ahead is a number; the text that tells it must not be able to run code."""

from joblib import Parallel, delayed


def test_reproducer(tmp_path):
    trace = tmp_path / "trace"
    text = "__import__('pathlib').Path(%r).write_text('x')" % str(trace)
    try:
        Parallel(n_jobs=2, backend="threading", pre_dispatch=text)(delayed(abs)(i) for i in range(4))
    except Exception as error:  # a refusal is one right answer
        print("refused:", error)
    assert not trace.exists(), "the text given as pre_dispatch was run as code"
    # With everything refused the flaw would not show, and nothing would work.
    sums = Parallel(n_jobs=2, backend="threading", pre_dispatch="2 * n_jobs")(delayed(abs)(-i) for i in range(4))
    assert sums == [0, 1, 2, 3]
