# sipsieve. `make help` lists what there is; each part's targets stand in make/*.mk.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
VENV ?= .venv
PYTHON := $(VENV)/bin/python
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

APT_PACKAGES := kamailio kamailio-python3-modules kamailio-extra-modules kamailio-tls-modules \
	kamailio-websocket-modules openssl sipsak sip-tester python3-venv

# What only some commands of the analysis need; each list leaves out what the one before it pins.
EXTRAS := $(patsubst %,analysis/requirements-%.txt,analyze narrate alerts mcp)

help: ## this list
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  %-16s %s\n", $$1, $$2 }'

deps: ## install the Debian packages that are missing
	@missing=$$(for p in $(APT_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		echo "installing $$(echo $$missing)"; \
		$(SUDO) apt-get update -qq; \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o DPkg::Lock::Timeout=300 --no-install-recommends $$missing >/dev/null; \
	fi

venv: deps core $(VENV)/.done ## the Python packages, in a venv of Debian's own Python

# Kamailio embeds Debian's Python, so the venv must be made by that one.
$(VENV)/.runs: kemi/requirements.txt analysis/requirements.txt pyproject.toml
	@test -x $(PYTHON) || /usr/bin/python3 -m venv $(VENV)
	@$(VENV)/bin/pip install -q --disable-pip-version-check -r kemi/requirements.txt -r analysis/requirements.txt
	@$(VENV)/bin/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

# What the tests and the analysis need beside that.
$(VENV)/.done: $(VENV)/.runs requirements-dev.txt tests/requirements-s3.txt tests/requirements-splunk.txt \
		analysis/requirements-spark.txt $(EXTRAS)
	@$(VENV)/bin/pip install -q --disable-pip-version-check $(EXTRAS:%=-r %)
	@$(VENV)/bin/pip install -q --disable-pip-version-check -r requirements-dev.txt
	@$(VENV)/bin/pip install -q --disable-pip-version-check --require-hashes --no-deps -r analysis/requirements-spark.txt
	@$(VENV)/bin/pip install -q --disable-pip-version-check --upgrade --target $(VENV)/s3-server -r tests/requirements-s3.txt
	@$(VENV)/bin/pip install -q --disable-pip-version-check --upgrade --target $(VENV)/splunk-appinspect -r tests/requirements-splunk.txt
	@touch $@

lint: venv core-lint ## ruff and mypy, and the like for Rust
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

# What starts servers mostly waits, so that the unit tests have the other core's time, and less of it.
test: lint core-test ## everything, against the real thing
	@mkdir -p build
	@nice -n 10 $(PYTHON) -m pytest -m "not fleet" --junitxml=build/junit-test-unit.xml tests/unit >build/unit.log 2>&1 & unit=$$!; \
	trap 'kill $$unit 2>/dev/null || true' EXIT; failed=0; \
	$(PYTHON) -m pytest -m "not fleet" --junitxml=build/junit-test.xml --ignore=tests/unit tests || failed=1; \
	wait $$unit || failed=1; cat build/unit.log; exit $$failed

# Built, or fetched, they are there: a minute, and no Kamailio. What takes longer, or other compilers, is left to `test`.
UNIT_LEFT_OUT := tests/unit/decision/test_fuzz.py tests/unit/core/test_mutations.py tests/unit/analysis/test_backtest.py \
	tests/unit/analysis/test_shown.py tests/unit/analysis/test_suggest.py tests/unit/analysis/test_watch.py

unit: unit-deps $(VENV)/.done ## the quick tests: no root, no Kamailio
	@mkdir -p build
	@$(PYTHON) -m pytest -m "not debian" $(addprefix --ignore=,$(UNIT_LEFT_OUT)) --junitxml=build/junit-unit.xml tests/unit

unit-deps: core
	@$(MAKE) --no-print-directory deps APT_PACKAGES=python3-venv

.PHONY: help deps venv lint test unit unit-deps

include $(wildcard make/*.mk)
