# Every target sets up .venv by itself (any python3 >= 3.11 on PATH); after that nothing needs the network, but for the first start of an
# OpenSearch server, whose parts mvn fetches.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-opensearch test check format bench bundle lock opensearch opensearch-stop clean

PYTHON := $(firstword $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p; done))
BIN := .venv/bin
HOUSE := tests/test_imports.py tests/test_catalogues.py tests/test_documentation.py tests/test_packaging.py
READY := .venv/.ready
SERVER := $(BIN)/python -m tests.servers.opensearch
CERTS := $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),--system-certs)

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(READY): requirements.lock
	@[ -n "$(PYTHON)" ] || { echo "make: no python3 >= 3.11 on PATH" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -o '^uv==[^ ]*' requirements.lock)"
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip sync --quiet $(CERTS) --require-hashes --compile-bytecode requirements.lock
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --offline --editable .
	@touch $@

demo: $(READY)  ## the whole chain on generated data: logs, alerts, incident, playbook, documents (folder demo/)
	$(BIN)/python cli.py demo

demo-opensearch: $(READY)  ## the same, stored in OpenSearch
	$(BIN)/python cli.py demo --store "$$($(SERVER) start)"
	@echo "OpenSearch goes on running, so that you can look around: make opensearch-stop ends it and removes its data" >&2

check: $(READY)  ## lint, types, the rules of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow" $(HOUSE)

test: $(READY)  ## all tests, on two cores
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

format: $(READY)  ## lay out the code, mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)  ## measure, and print a table
	$(BIN)/python benchmarks/bench.py

bundle: $(READY)  ## dist/: one archive for an air-gapped machine, installed once without network as proof
	$(BIN)/python docs/deploy/bundle.py
	$(BIN)/python -m pytest -m slow tests/test_packaging.py

opensearch: $(READY)  ## a server on this machine from packages (needs mvn), without security; prints its URL
	@$(SERVER) start
	@echo "ended, and its data removed, by: make opensearch-stop" >&2

opensearch-stop: $(READY)  ## end that server, remove its data
	@$(SERVER) stop

lock: $(READY)  ## resolve the locks anew (needs the registry); versions move only as far as pyproject.toml allows
	$(BIN)/uv pip compile -q $(CERTS) --universal --generate-hashes --no-annotate --no-header --python-version 3.11 --group dev pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q $(CERTS) --universal --generate-hashes --no-annotate --no-header --python-version 3.11 -c requirements.lock pyproject.toml -o requirements-run.lock

clean:  ## remove what was made, but not .venv
	rm -rf dist build demo .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
