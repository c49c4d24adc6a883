# Everything a person or CI runs. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# the first Python that runs and is new enough (a version manager's shim may exist without running)
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV_VERSION := 0.13.9
KINESALITE_VERSION := 3.3.3
TRINO_PARSER_VERSION := 4.5.1
ICAL_VERSION := 2.2.1
ECHARTS_VERSION := 6.1.0
ESBUILD_VERSION := 0.28.2
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
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install -q --require-hashes -r requirements.lock
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install -q --no-deps -e .
	@touch $@

.PHONY: setup
setup: .venv/.installed ## create .venv from the locked dependencies

.PHONY: demo
demo: .venv/.installed ## generate a small world, run one of its days, deliver to the outbox, let its people answer, show the funnel
	@$(BIN)/engage demo

.PHONY: ui
ui: .venv/.installed ## open Dagster on the same home: http://localhost:3000
	@mkdir -p "$(DAGSTER_HOME)" && cp -n dagster.yaml "$(DAGSTER_HOME)/dagster.yaml" 2>/dev/null || true
	@$(BIN)/dagster dev -w workspace.yaml

.PHONY: parts
parts: ## system parts that some tests need, where they can be installed (root and apt)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  need=""; \
	  command -v chromium >/dev/null || need="$$need chromium"; \
	  command -v java >/dev/null || need="$$need default-jre-headless"; \
	  command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || need="$$need postgresql"; \
	  command -v npm >/dev/null || need="$$need nodejs npm"; \
	  fc-list :lang=ko 2>/dev/null | grep -q . || need="$$need fontconfig fonts-nanum"; \
	  if [ -n "$$need" ]; then echo "installing$$need"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$need >/dev/null; fi; \
	fi
	@if [ ! -d .parts/node_modules/kinesalite ] && command -v npm >/dev/null; then \
	  echo "installing kinesalite $(KINESALITE_VERSION) into .parts"; \
	  npm install --prefix .parts --ignore-scripts --no-audit --no-fund --no-save --loglevel=error kinesalite@$(KINESALITE_VERSION) >/dev/null \
	    || echo "kinesalite was not installed; its tests are skipped"; \
	fi
	@if [ ! -d .parts/calendar/node_modules/ical.js ] && command -v npm >/dev/null; then \
	  echo "installing ical.js $(ICAL_VERSION) into .parts/calendar"; \
	  npm install --prefix .parts/calendar --ignore-scripts --no-audit --no-fund --no-save --loglevel=error ical.js@$(ICAL_VERSION) >/dev/null \
	    || echo "ical.js was not installed; its test is skipped"; \
	fi
	@if [ ! -d .parts/trino/node_modules/dt-sql-parser ] && command -v npm >/dev/null; then \
	  echo "installing dt-sql-parser $(TRINO_PARSER_VERSION) into .parts/trino"; \
	  npm install --prefix .parts/trino --ignore-scripts --no-audit --no-fund --no-save --loglevel=error dt-sql-parser@$(TRINO_PARSER_VERSION) >/dev/null \
	    || echo "dt-sql-parser was not installed; its test is skipped"; \
	fi

.PHONY: soak-parts
soak-parts: parts ## also Ceph from Debian packages, unpacked into .parts, for the long crash test of the archive
	@if [ ! -x .parts/ceph/usr/bin/radosgw ] && command -v apt-get >/dev/null && command -v dpkg >/dev/null; then \
	  echo "unpacking Ceph into .parts/ceph (240 MB)"; \
	  bash engage_assets_tests/archive/unpack_ceph.sh .parts/ceph || echo "Ceph was not unpacked; its test is skipped"; \
	fi

.PHONY: spark
spark: .venv/.installed parts ## add PySpark (about 450 MB) for the tests of that engine; Java comes from apt where it can
	@$(BIN)/python -c 'import pyspark' 2>/dev/null || { echo "installing PySpark"; VIRTUAL_ENV=.venv $(BIN)/uv pip install -q --require-hashes -r requirements-spark.lock; }

.PHONY: test
test: .venv/.installed parts $(if $(CI),spark) ## pass the tests; in CI with PySpark, elsewhere its tests are skipped without `make spark`
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --maxprocesses 4

.PHONY: check
check: .venv/.installed ## formatting, lint, types, program files
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q .
	@$(BIN)/mypy
	@$(BIN)/engage programs validate

.PHONY: format
format: .venv/.installed ## format and mend what the linter can
	@$(BIN)/ruff format -q . && $(BIN)/ruff check --fix .

.PHONY: dashboards
dashboards: .venv/.installed ## write the Grafana dashboards of programs/commerce-analytics.yaml into dashboards/
	@$(BIN)/python -m dashboards.build

.PHONY: vendor
vendor: ## bundle ECharts for the commerce dashboard anew out of its npm package (the result is committed)
	@bash engage_assets/summaries/vendor/build.sh .parts/vendor $(ECHARTS_VERSION) $(ESBUILD_VERSION)

.PHONY: bench
bench: .venv/.installed parts ## figures against rivals, as ratios of one run (the first time makes its data in .bench/; bench/run.py PART runs a part)
	@$(BIN)/python bench/run.py

.PHONY: bench-scale
bench-scale: .venv/.installed ## the same of ten times the deliveries and fifty times the candidates
	@$(BIN)/python bench/run.py scale

.PHONY: soak
soak: .venv/.installed soak-parts ## the long tests: crashes of deliveries and of the archive, the gate, random histories (some 30 minutes on two cores)
	@$(BIN)/pytest -m soak -n 2 --dist worksteal -rP --show-capture=stdout

.PHONY: serve
serve: .venv/.installed ## the serving service on the same home: http://localhost:8080/openapi.json
	@$(BIN)/engage serve

.PHONY: lock
lock: .venv/.installed ## resolve the dependencies again into requirements*.lock
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --extra spark --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o .venv/all.lock
	@awk '/^[a-z]/ {keep = /^(pyspark|py4j)==/} keep' .venv/all.lock > requirements-spark.lock

.PHONY: clean
clean: ## remove the environment and caches; the home .engage stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
