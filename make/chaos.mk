# A real server under load while it is killed and damaged; SEED replays a run, ONLY chooses what is done to it.
ONLY ?= kill fill rotate cut flip clock reload squeeze hoard crowd part

chaos: venv ## a server under load while workers are killed and files damaged (SECONDS=3600, SEED, ONLY)
	@$(SUDO) $(PYTHON) tests/chaos.py --seconds $(if $(filter command,$(origin SECONDS)),$(SECONDS),3600) \
		$(if $(SEED),--seed $(SEED)) --only $(ONLY)

.PHONY: chaos
