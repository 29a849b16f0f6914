"""What runs inside the sandbox to tell what happened there.

These modules are sent as text over a pipe and never installed: standard library only, Python 3.9 and later. `boot` loads them,
`observer` collects as a second user, the `*_run` modules work as the first user and stream one record per event.

What this keeps out: results taken back, changed or printed by the tree; exit codes; report files; hooks that turn a failure into
a pass; a run that is cut short; results from a second process. What it cannot keep out: code that runs in the interpreter of the
tests can find the channel and send records of its own, or change what "to run a test" means so cleverly that the canaries (made
by the host, with random names, in every folder of tests) still end as they should. Against that stands only that a patch may not
touch tests, that the baseline is measured the same way, and that a reproducer is judged apart.
"""
