# Bans outside Kamailio are tested against the real nftables and fail2ban; the clock is set by libfaketime.
APT_PACKAGES += nftables fail2ban libfaketime iproute2

SECONDS_OF_FLOOD ?= 10
FLOOD_OUT ?= build/flood

bench-flood: venv ## legitimate calls while floods run, with and without the guard (SECONDS_OF_FLOOD=10)
	@$(PYTHON) bench/flood.py --seconds $(SECONDS_OF_FLOOD) --json $(FLOOD_OUT)/flood.json

.PHONY: bench-flood

bench-forged: venv ## a million forged sources: shared memory and answer times
	@$(PYTHON) bench/forged.py

.PHONY: bench-forged

STANDING_SECONDS ?= 20

bench-standing: venv ## calls of an office, a call centre and a carrier through each flood, one try each (STANDING_SECONDS=20)
	@$(PYTHON) bench/standing.py --seconds $(STANDING_SECONDS) --json $(FLOOD_OUT)/standing.json

.PHONY: bench-standing
