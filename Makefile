# `make quickstart` and `make test` need Python 3.11 or later and a package registry, nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.dar-bench-setup
PROJECTS := pyproject.toml $(wildcard plugins/*/pyproject.toml)
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))

.PHONY: help setup quickstart test test-slow lint format

help:
	@echo "make setup       create $(VENV) and install dar-bench with its plugins into it"
	@echo "make quickstart  the whole road on shipped tiny models, offline once set up"
	@echo "make test        the test suite"
	@echo "make test-slow   the tests that the default run leaves out"
	@echo "make lint        ruff and mypy"
	@echo "make format      let ruff mend style and imports"
	@echo "PYTHON=python3.12 chooses the interpreter that $(VENV) is made with."

setup: $(STAMP)

$(STAMP): $(PROJECTS) constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dar-bench needs Python 3.11 or later, and this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt \
		-e '.[train,lpips,dev]' $(addprefix -e ,$(PLUGINS))
	@touch $@

quickstart: setup
	$(BIN)/dar-bench quickstart

test: setup
	$(BIN)/python -m pytest

test-slow: setup
	$(BIN)/python -m pytest -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
