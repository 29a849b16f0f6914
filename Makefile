# `make demo` and `make test` do all the set-up there is. `make check` is what CI runs.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
SEMGREP := .venv-semgrep
BIN := $(VENV)/bin

.PHONY: setup engine test-tools demo test test-all check lint unit docker bench clean locks

setup: $(VENV)/.done $(SEMGREP)/.done
	@ln -sf ../../$(SEMGREP)/bin/semgrep $(BIN)/semgrep

$(VENV)/.done: requirements/dev.lock pyproject.toml $(wildcard plugins/*/pyproject.toml)
	@sandbox/ensure-python $(PYTHON)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing remediator into $(VENV) …"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . $(patsubst %/pyproject.toml,-e ./%,$(wildcard plugins/*/pyproject.toml))
	@touch $@

$(SEMGREP)/.done: requirements/semgrep.lock
	@sandbox/ensure-python $(PYTHON)
	@test -x $(SEMGREP)/bin/python || $(PYTHON) -m venv $(SEMGREP)
	@echo "installing semgrep into $(SEMGREP) …"
	@$(SEMGREP)/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements/semgrep.lock
	@touch $@

engine:
	@sandbox/ensure-engine

test-tools:
	@sandbox/ensure-test-tools

# The main job on real input: a published package with a known vulnerability, found, fixed, proven, handed over.
demo: setup engine
	@$(BIN)/remediator fix pypi:pyanyapi==0.6.0 --only CWE-502
	@$(BIN)/remediator show last
	@$(BIN)/remediator replay last
	@sandbox/clearinghouse-demo last

test: setup engine test-tools
	@$(BIN)/ruff format --check src tests plugins benchmarks
	@$(BIN)/ruff check src tests plugins benchmarks
	@$(BIN)/mypy && $(BIN)/mypy --exclude /rules/ $(wildcard plugins/*/src)
# Sandboxes and registries are mostly waited for: what needs them goes on beside the rest, and is told after it.
	@told=$$(mktemp); $(BIN)/pytest --durations=15 -m "docker or network" tests plugins >"$$told" 2>&1 & beside=$$!; \
	trap 'kill $$beside 2>/dev/null; rm -f "$$told"' EXIT; failed=0; \
	$(BIN)/pytest -n 2 -m "not docker and not network and not live" tests plugins || failed=$$?; \
	wait $$beside || failed=$$?; cat "$$told"; exit $$failed

# Everything that takes its time too: three real packages with a scripted model, fifty kills, every hostile repository. About an hour.
test-all:
	@REMEDIATOR_TEST_ALL=1 $(MAKE) test

check: setup test-tools
	@$(BIN)/ruff format --check src tests plugins benchmarks
	@$(BIN)/ruff check src tests plugins benchmarks
	@$(BIN)/mypy && $(BIN)/mypy --exclude /rules/ $(wildcard plugins/*/src)
	@$(BIN)/pytest -n 2 -m "not docker and not network and not live" tests plugins

lint: setup
	@$(BIN)/ruff format src tests plugins benchmarks
	@$(BIN)/ruff check --fix src tests plugins benchmarks
	@$(BIN)/mypy && $(BIN)/mypy --exclude /rules/ $(wildcard plugins/*/src)

unit: setup
	@$(BIN)/pytest tests/unit tests/test_architecture.py

docker: setup engine
	@$(BIN)/pytest -m docker

bench: setup engine
	@for each in benchmarks/bench_*.py; do $(BIN)/python $$each || exit 1; done

locks:
	uv pip compile -q --generate-hashes --no-emit-index-url --universal --python-version 3.11 pyproject.toml -o requirements/runtime.lock
	uv pip compile -q --generate-hashes --no-emit-index-url --universal --python-version 3.11 pyproject.toml requirements/dev.in -o requirements/dev.lock
	uv pip compile -q --generate-hashes --no-emit-index-url --python-version 3.11 requirements/semgrep.in -o requirements/semgrep.lock

clean:
	rm -rf $(VENV) $(SEMGREP) .mypy_cache .ruff_cache .pytest_cache
