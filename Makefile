# Everything that a newcomer or a developer runs. It needs GNU make, Python 3.11 to 3.13 and a package index; the first
# target that runs makes a virtual environment in .venv with the versions of constraints.txt.
#
#   make quickstart              train a wide & deep model on real data, now
#   make test                    all tests, with the examples of docstrings and of docs/
#   make check                   what continuous integration runs: lint, types, tests, wheel, examples
#   make benchmarks ARGS="..."   the figures of the README
#
# ARGS is handed on: make test ARGS="tests/heads -k binary". PYTHON=python3.12 picks the interpreter, JOBS=4 the processes of the tests.

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
PYTHON ?= python3
JOBS ?= 2
ARGS ?=
# Programs for `make check` to try; each takes --steps.
EXAMPLES := $(filter-out examples/_%,$(sort $(wildcard examples/*.py)))

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What TensorFlow says of the machine it finds is not for a first look.
LOG_LEVEL_OF_QUICKSTART := $(or $(TF_CPP_MIN_LOG_LEVEL),3)
export TF_CPP_MIN_LOG_LEVEL ?= 2
# Output and log stay in order when they go to a file.
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup quickstart test check lint types wheel examples benchmarks clean

help:
	@sed -n '/^#   make/s/^# *//p' Makefile

# The stamp is older than its prerequisites when versions or dependencies have changed, and missing when a set-up was interrupted.
# headway is compiled as pip compiles what it copies: many a test and an example starts a process of its own.
setup: $(READY)

$(READY): constraints.txt pyproject.toml
	@set -e; \
	for python in "$(PYTHON)" python3.13 python3.12 python3.11; do \
	    if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then found="$$python"; break; fi; \
	done; \
	if [ -z "$${found-}" ]; then \
	    echo "headway needs Python 3.11, 3.12 or 3.13. Tried $(PYTHON), python3.13, python3.12 and python3.11; set PYTHON=/path/to/python." >&2; exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$("$$found" --version); this takes some minutes the first time."; \
	"$$found" -m venv $(VENV) || { echo "venv failed; on Debian and Ubuntu, install python3-venv." >&2; exit 1; }
	$(PY) -m pip install --quiet --constraint constraints.txt setuptools
	$(PY) -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[test,dev]'
	$(PY) -m compileall -q headway
	@touch $@

quickstart: $(READY)
	TF_CPP_MIN_LOG_LEVEL=$(LOG_LEVEL_OF_QUICKSTART) $(PY) examples/quickstart.py $(ARGS)

test: $(READY)
	$(PY) -m pytest -n $(JOBS) $(ARGS)

check: lint types test wheel examples

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(READY)
	$(PY) -m mypy

# The root folder hides faults of packaging, so the wheel is built from a copy and tried from elsewhere.
wheel: $(READY)
	$(PY) tools/try_wheel.py

examples: $(READY)
	@set -e; for example in $(EXAMPLES); do echo "== $$example"; $(PY) $$example --steps 20; done

benchmarks: $(READY)
	$(PY) benchmarks/run.py $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
