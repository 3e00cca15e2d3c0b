# What checking costs, measured side by side. Pinning and /proc are Linux's; root is not needed.
QUICK ?=
BENCH_OUT ?= build/bench
CHART ?= $(BENCH_OUT)/cost.svg

bench: venv ## CPU per message, side by side with bare Kamailio and the C modules (QUICK=1 is shorter)
	@$(PYTHON) bench/run.py $(if $(QUICK),--quick) --json $(BENCH_OUT)/cost.json --chart $(CHART)

.PHONY: bench
