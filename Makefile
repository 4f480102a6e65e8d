# make run: the local workspace and the panel. make test: every test. See README.md.
PORT ?= 8501
DATA ?= .data
ENTRIES ?= 20000
export PYTHONDONTWRITEBYTECODE ?=
PY := .venv/bin/python
TESTS ?= tests

.PHONY: setup run test unit lint bench clean

setup:
	@sh scripts/setup.sh run

run: setup
	@exec $(PY) -m scripts.run --port '$(PORT)' --data '$(DATA)' --entries '$(ENTRIES)'

# More processes than cores: the one that has the workspace mostly waits for it.
test:
	@sh scripts/setup.sh test
	@$(MAKE) --no-print-directory lint
	@$(PY) -m pytest -n 3 $(TESTS)

# The fast tests, on SQLite alone, by more processes than cores: some wait. Each more collects all tests anew, 6 s.
# `make test` adds PostgreSQL, tests/pages, tests/faults, Spark and the browser.
unit: setup
	@$(PY) -m pytest -n 3 -p no:playwright --sqlite-only tests/unit

lint: setup
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/mypy

bench: setup
	@$(PY) -m benchmarks

clean:
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis test-results
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "cutover: removed the environment and caches; the data in '$(DATA)' is kept (remove that folder to start anew)"
