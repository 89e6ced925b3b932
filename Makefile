# The phone book of Vestige. `make` alone prints it.
PYTHON ?= python3.11
VENV   ?= .venv
JOBS   ?= 2
SITE   ?= site
BIN    := $(VENV)/bin
# Each process begins with a half of the tests in their order, so that what a file prepares is seldom prepared twice.
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist worksteal
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

SOURCES := $(wildcard src tests benchmarks examples)

# What a change to a formula, a statistic or a sentence breaks first; none of it loads torch.
QUICK := tests/core tests/attacks tests/testing tests/test_house.py \
         $(patsubst %,tests/evaluation/test_%.py,intervals risk roc strength thresholds units) \
         $(patsubst %,tests/report/test_%.py,document rows tables terminal wording)
NOT_QUICK := front_door or signal_store or by_the_default_network or literal_quadratic or other_types_reach

.DEFAULT_GOAL := help
.PHONY: help venv demo test quick typed slow browser docs coverage check lint types contracts doctest bench format clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

venv: $(VENV)/.installed ## create the virtual environment with every tool (redone when the pins change)

demo: $(VENV)/.installed-alone ## audit a small overfitted model, from training to report page
	$(BIN)/vestige demo

test: $(VENV)/.installed ## run the tests in JOBS=2 processes
	$(PYTEST)

quick: $(VENV)/.installed ## run the tests of formulas, statistics and wording: under a minute, without torch
	$(PYTEST) $(QUICK) -k "not ($(NOT_QUICK))"

typed: $(VENV)/.installed ## run the tests with the types of every call checked, in twice the time
	$(PYTEST) --check-every-call

coverage: $(VENV)/.installed ## run the tests and list the lines of src that none of them runs
	$(BIN)/python -m coverage run -m pytest
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

slow: $(VENV)/.installed ## run the slow tests, which the other targets leave out
	$(PYTEST) -m slow

browser: $(VENV)/.installed-browser ## look at the pages in Debian's chromium
	$(BIN)/python -m pytest -m browser tests/browser

docs: $(VENV)/.installed-docs ## build the documentation site into site/, warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir $(SITE)
	@echo "The site: $(SITE)/index.html (python3 -m http.server --directory $(SITE) gives it a search)"

gpu: $(VENV)/.installed ## where there is a CUDA device: test on it and measure it, under 8 minutes
	$(BIN)/python -m benchmarks.gpu

check: lint types contracts doctest test ## all that must hold before a change lands

lint: $(VENV)/.installed ## check format and style
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)

types: $(VENV)/.installed ## check types, strictly
	$(BIN)/mypy $(SOURCES)

contracts: $(VENV)/.installed ## check which room imports which
	$(BIN)/lint-imports --no-cache

doctest: $(VENV)/.installed ## run the examples in the docstrings
	$(BIN)/python -m pytest --doctest-modules src/vestige

bench: $(VENV)/.installed-bench ## measure against peers, write benchmarks/results.json (ONLY=name for one)
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

format: $(VENV)/.installed ## put the sources into shape
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

clean: ## remove .venv, caches and build output (runs/ stays)
	rm -rf .venv dist site .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

# What the demo needs; what the tests need comes on top, in a longer wait.
$(VENV)/.installed-alone: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "Expected $(PYTHON) on the PATH, found none. On Debian: apt install python3.11 python3.11-venv." >&2; \
	  echo "Another Python from 3.11 on will do: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Expected Python 3.11 or newer, found $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments. On Debian: apt install python3.11-venv." >&2; exit 1; }
	@echo "Installing Vestige into $(VENV) (a minute, once)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed: $(VENV)/.installed-alone
	@echo "Installing its tools (a minute or two, once)"
	$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.installed-browser: $(VENV)/.installed
	$(PIP) --editable '.[dev,browser]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP) --editable '.[dev,docs]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(PIP) --editable '.[dev,bench]'
	@touch $@
