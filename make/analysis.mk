# The offline analysis: what it needs beside the guard.
# libmagic1 is what Splunk's AppInspect, which the tests ask, looks at files with.
APT_PACKAGES += tshark chromium kamailio-sqlite-modules iproute2 default-jre-headless libmagic1

bench-analysis: venv ## analysis of 10^4 to 10^7 decision records beside a bare scan
	@$(PYTHON) bench/analysis.py $(BENCH_ARGS)

worlds: venv ## grouping, intents and campaigns over 20 labelled worlds and 4 networks in the field
	@$(PYTHON) tests/worlds/run.py
	@$(PYTHON) tests/worlds/measure.py

.PHONY: bench-analysis worlds

bench-fleet: venv ## an archive of 10^5 to 10^8 records on DuckDB and on Spark: cost per record, memory, the same report
	@$(PYTHON) bench/fleet.py $(BENCH_ARGS)

fleet-test: venv ## `analyze --engine spark` on a cluster of a master and two workers: byte for byte what DuckDB says
	@mkdir -p build
	@$(PYTHON) -m pytest -m fleet --junitxml=build/junit-fleet.xml tests/unit/analysis/test_spark.py

.PHONY: bench-fleet fleet-test
