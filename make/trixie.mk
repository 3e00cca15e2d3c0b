# The end-to-end tests on Debian 13: Kamailio 6.0.1 and Python 3.13.
APT_PACKAGES += mmdebstrap

# What the tests themselves import there; as files, since the chroot has no network.
TRIXIE_NEEDS := pytest pytest-timeout hypothesis jsonschema fastjsonschema websockets setuptools wheel weasyprint axe-core-python pypdf
# Of Debian they need what they need here.
TRIXIE_PACKAGES = $(sort $(APT_PACKAGES) make sudo)
TRIXIE_TESTS ?= tests/e2e

build/trixie-wheels/.done: kemi/requirements.txt analysis/requirements.txt $(EXTRAS) make/trixie.mk | venv
	@rm -rf build/trixie-wheels
	@$(VENV)/bin/pip download -q --disable-pip-version-check --only-binary :all: --python-version 3.13 --no-deps \
		$(foreach glibc,$(GLIBC),--platform $(glibc)_$(shell uname -m)) -d build/trixie-wheels \
		-r kemi/requirements.txt -r analysis/requirements.txt $(EXTRAS:%=-r %)
	@printf '%s\n' $(TRIXIE_NEEDS) > build/trixie-wheels/requirements.txt
	@$(VENV)/bin/pip download -q --disable-pip-version-check --only-binary :all: --python-version 3.13 \
		$(foreach glibc,$(GLIBC),--platform $(glibc)_$(shell uname -m)) -d build/trixie-wheels \
		-r build/trixie-wheels/requirements.txt
	@touch $@

trixie-test: build/trixie-wheels/.done ## the end-to-end tests on Kamailio 6.0 and Python 3.13 (TRIXIE_TESTS)
	@$(SUDO) env CHROOT_PACKAGES="$(TRIXIE_PACKAGES)" \
		packaging/chroot trixie packaging/trixie-tests --junitxml=build/junit-trixie.xml $(TRIXIE_TESTS)

# In the gate: what another Kamailio or Python may answer otherwise. How well worlds, narrations and benches are read does not
# depend on either, and takes long.
TRIXIE_LEFT_OUT := analysis_worlds analysis_watch analysis_narration analysis_hostile analysis_handover \
	audit_proof backtest_live bench executed novelty
trixie-gate: TRIXIE_TESTS := tests/e2e $(TRIXIE_LEFT_OUT:%=--ignore=tests/e2e/test_%.py)
trixie-gate: trixie-test ## the same without what neither Kamailio nor Python decides: what the gate runs

.PHONY: trixie-test trixie-gate
