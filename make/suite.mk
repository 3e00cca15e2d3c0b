# Kamailio of other Debian suites, and of a source tree. What was run on what stands in docs/install.md.
# Each suite's own Python, whose wheels are needed.
PYTHON_OF_bookworm := 3.11
PYTHON_OF_trixie := 3.13
SUITE_PYTHON = $(or $(PYTHON_OF_$(SUITE)),3.14)
SUITE_WHEELS = build/suite-wheels-$(SUITE_PYTHON)
SUITE_NEEDS := pytest pytest-timeout fastjsonschema setuptools wheel
SUITE_PACKAGES := kamailio-tls-modules kamailio-websocket-modules make openssl sudo
SMOKE_TESTS ?= tests/e2e/test_smoke.py tests/e2e/test_edge.py tests/e2e/test_operate_live.py tests/e2e/test_geo.py

build/suite-wheels-%/.done: kemi/requirements.txt analysis/requirements.txt make/suite.mk | venv
	@rm -rf $(@D)
	@$(VENV)/bin/pip download -q --disable-pip-version-check --only-binary :all: --python-version $* --no-deps \
		$(foreach glibc,$(GLIBC),--platform $(glibc)_$(shell uname -m)) -d $(@D) -r kemi/requirements.txt -r analysis/requirements.txt
	@printf '%s\n' $(SUITE_NEEDS) > $(@D)/requirements.txt
	@$(VENV)/bin/pip download -q --disable-pip-version-check --only-binary :all: --python-version $* \
		$(foreach glibc,$(GLIBC),--platform $(glibc)_$(shell uname -m)) -d $(@D) -r $(@D)/requirements.txt
	@touch $@

suite-test: venv ## the quick end-to-end tests on the Kamailio of another suite (SUITE=sid, forky, trixie; SMOKE_TESTS)
	@$(MAKE) --no-print-directory $(SUITE_WHEELS)/.done
	@command -v mmdebstrap >/dev/null || $(MAKE) --no-print-directory deps APT_PACKAGES=mmdebstrap
	@$(SUDO) env CHROOT_APT='$(CHROOT_APT)' CHROOT_PACKAGES="$(SUITE_PACKAGES)" \
		packaging/chroot $(SUITE) packaging/smoke-tests $(SUITE_WHEELS) --junitxml=build/junit-suite-$(SUITE).xml $(SMOKE_TESTS)

# A version that Debian has not: its sources, from wherever you trust.
SOURCE ?=

source-test: venv ## build Kamailio from SOURCE=DIR and run the quick end-to-end tests on it (SMOKE_TESTS)
	@packaging/kamailio-from-source --source '$(SOURCE)' -- --junitxml=build/junit-source.xml $(SMOKE_TESTS)

.PHONY: suite-test source-test
