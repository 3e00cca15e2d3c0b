# What checking costs, measured side by side. Pinning and /proc are Linux's; root is not needed.
QUICK ?=
BENCH_OUT ?= build/bench
CHART ?= $(BENCH_OUT)/cost.svg

bench: bench-cost bench-worst ## what a message costs: ordinary ones side by side, and the worst (QUICK=1 is shorter)

bench-cost: venv ## CPU per message, side by side with bare Kamailio and the C modules (QUICK=1 is shorter)
	@$(PYTHON) bench/run.py $(if $(QUICK),--quick) --json $(BENCH_OUT)/cost.json --chart $(CHART)

# Another machine may need another limit: LIMIT=2000.
LIMIT ?= 1000

bench-worst: venv ## the worst messages of 64 KiB for each rule and transform: fails where one costs more than LIMIT µs
	@$(PYTHON) bench/worst_case.py --limit $(LIMIT)

# 5 million by default; MESSAGES=50000 is done in seconds.
MESSAGES ?= 5000000

soak: venv ## memory of a worker over MESSAGES messages: fails where it grows
	@$(PYTHON) bench/soak.py --messages $(MESSAGES)

.PHONY: bench bench-cost bench-worst soak
