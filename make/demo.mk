# The case's week in small, on loopback.
DEMO_PACKAGES := kamailio kamailio-python3-modules kamailio-extra-modules sip-tester sipvicious python3-venv
APT_PACKAGES += sipvicious

# Only what the demo itself needs is installed: not what the tests want. Where neither core nor profile is there, the core is built without
# one: a first look is had in half the time, and decides the same. `make install` and the packages build by one.
demo demo-audit unit: export PROFILE = $(if $(wildcard $(CORE_PROFILE)),yes,no)

demo: demo-deps core $(VENV)/.runs ## replay the case's attacks and a legitimate day at a guard on loopback
	@PYTHONPATH=lab $(PYTHON) -m replayer demo $(SCENARIOS)

demo-audit: demo-deps core $(VENV)/.runs ## what `sipsieve audit` finds in a vulnerable configuration, fired at it: as it is, guarded, corrected
	@$(MAKE) --no-print-directory deps APT_PACKAGES=kamailio-sqlite-modules
	@PYTHONPATH=lab $(PYTHON) -m replayer audited

demo-deps:
	@$(MAKE) --no-print-directory deps APT_PACKAGES="$(DEMO_PACKAGES)"

.PHONY: demo demo-audit demo-deps
