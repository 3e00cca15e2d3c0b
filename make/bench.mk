# What checking costs, measured side by side. Pinning and /proc are Linux's; root is not needed.
QUICK ?=
BENCH_OUT ?= build/bench
CHART ?= $(BENCH_OUT)/cost.svg

bench: bench-mix bench-cost bench-worst bench-calls bench-feeds ## what a message costs: realistic ones side by side, one client's, the worst, accounts and destinations, lists (QUICK=1 is shorter)

bench-cost: venv ## CPU per message, side by side with bare Kamailio and the C modules (QUICK=1 is shorter)
	@$(PYTHON) bench/run.py $(if $(QUICK),--quick) --json $(BENCH_OUT)/cost.json --chart $(CHART)

bench-mix: venv ## CPU per message of realistic and of hostile traffic, beside bare Kamailio and the C modules (QUICK=1, BENCH_ARGS)
	@$(SUDO) $(PYTHON) bench/realistic.py $(if $(QUICK),--quick) --json $(BENCH_OUT)/mix.json $(BENCH_ARGS)

bench-calls: toolchain ## what destinations, accounts and standing add to a decision, in turns in one run
	@$(cargo) "$$cargo" bench --quiet --locked --bench calls -- all

bench-memory: venv ## what a worker's memory is made of: at its start, after ordinary and after hostile traffic
	@$(SUDO) $(PYTHON) bench/memory.py $(BENCH_ARGS)

# Another machine may need another limit: LIMIT=2000.
LIMIT ?= 1000

bench-worst: venv ## the worst messages of 64 KiB for each rule and transform: fails where one costs more than LIMIT µs
	@$(PYTHON) bench/worst_case.py --limit $(LIMIT)

bench-search: venv ## searches SECONDS seconds for dearer messages, of all sizes and shapes: fails where one costs more than LIMIT µs
	@$(PYTHON) bench/worst_search.py --limit $(LIMIT) --seconds $(or $(SECONDS),60) $(BENCH_ARGS)

# 5 million by default; MESSAGES=50000 is done in seconds.
MESSAGES ?= 5000000

soak: venv ## memory of a worker over MESSAGES messages: fails where it grows
	@$(PYTHON) bench/soak.py --messages $(MESSAGES)

.PHONY: bench bench-memory bench-mix bench-cost bench-worst bench-calls bench-search soak

bench-hep: venv core ## messages a second of `sipsieve hep`, from HEP packets to records on disk
	@$(PYTHON) bench/hep.py

.PHONY: bench-hep

bench-feeds: venv ## lists and countries: memory, look-ups, and messages while a million prefixes are replaced (BENCH_ARGS)
	@$(PYTHON) bench/lists.py --json $(BENCH_OUT)/lists.json $(BENCH_ARGS)

.PHONY: bench-feeds
