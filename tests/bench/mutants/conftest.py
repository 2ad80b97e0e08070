"""The applications bring unit tests of their own; `bench_mutants.py` runs them, the suite of the harness does not."""

collect_ignore = ["apps"]
