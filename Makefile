# `make quickstart` and `make test` need Python 3.11 or later and a package registry, nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.dar-bench-setup
PROJECTS := pyproject.toml $(wildcard plugins/*/pyproject.toml)
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))

.PHONY: help setup quickstart test test-slow browser measure lint format docs

help:
	@echo "make setup       create $(VENV) and install dar-bench with its plugins into it"
	@echo "make quickstart  the whole road on shipped tiny models, offline once set up"
	@echo "make test        the test suite"
	@echo "make test-slow   the tests that the default run leaves out"
	@echo "make browser     get Chromium for the report's tests, where that needs no password"
	@echo "make measure     the sweeps of the shipped models, into results/measured"
	@echo "make lint        ruff and mypy"
	@echo "make docs        the documentation, into site/"
	@echo "make format      let ruff mend style and imports"
	@echo "PYTHON=python3.12 chooses the interpreter that $(VENV) is made with."

setup: $(STAMP)

$(STAMP): $(PROJECTS) constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dar-bench needs Python 3.11 or later, and this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt \
		-e '.[train,lpips,adm,torch-fidelity,clean-fid,ray,docs,dev]' $(addprefix -e ,$(PLUGINS))
	@touch $@

quickstart: setup
	$(BIN)/dar-bench quickstart

# Two workers of one thread each: threads of several workers on few cores wait for each other most of the time.
test: setup browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# The report's tests use a real browser. Only where it can be had without asking anybody: as root on Debian.
browser:
	@command -v chromium > /dev/null || command -v google-chrome > /dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium > /dev/null; } || \
		echo "No Chromium: the browser tests of the report will be left out. Install it to run them."

test-slow: setup
	$(BIN)/python -m pytest -m slow

MEASURED := --results results/measured
measure: setup
	$(BIN)/dar-bench sweep cfg --model dar-tiny --samples 2000 $(MEASURED) \
		--values none,1.25,1.5,2.0,3.0,linear:1.0-2.0,linear:1.0-4.0
	$(BIN)/dar-bench sweep tokens --model dar-tiny --samples 2000 $(MEASURED) --option cfg=2.0
	$(BIN)/dar-bench sweep solver --tokenizer dar-tiny-tokenizer $(MEASURED) \
		--steps 2,4,8,16 --solvers euler,adams2,ab2,heun

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
