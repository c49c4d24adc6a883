# Everything a person or CI runs. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# the first Python that runs and is new enough (a version manager's shim may exist without running)
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV_VERSION := 0.13.9
BIN := .venv/bin
export ENGAGE_HOME ?= $(CURDIR)/.engage
export DAGSTER_HOME ?= $(ENGAGE_HOME)/dagster

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.venv/.installed: requirements.lock pyproject.toml
	@echo "setting up .venv from requirements.lock (about a minute on a first run)"
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or newer is needed: install it, or name it with PYTHON=/path/to/python'; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@VIRTUAL_ENV=.venv $(BIN)/uv pip sync -q --require-hashes requirements.lock
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install -q --no-deps -e .
	@touch $@

.PHONY: setup
setup: .venv/.installed ## create .venv from the locked dependencies
