# The case's week in small, on loopback.
APT_PACKAGES += sipvicious

demo: venv ## replay the case's attacks and a legitimate day at a guard on loopback
	@PYTHONPATH=lab $(PYTHON) -m replayer demo

.PHONY: demo
