# The offline analysis: what it needs beside the guard.
APT_PACKAGES += tshark chromium kamailio-sqlite-modules iproute2

bench-analysis: venv ## analysis of 10^4 to 10^7 decision records beside a bare scan
	@$(PYTHON) bench/analysis.py $(BENCH_ARGS)

worlds: venv ## grouping, intents and campaigns over 20 labelled worlds and 4 networks in the field
	@$(PYTHON) tests/worlds/run.py
	@$(PYTHON) tests/worlds/measure.py

.PHONY: bench-analysis worlds
