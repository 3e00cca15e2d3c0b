CORPORA ?= ../shared/corpora
SHOW ?= 0

detection: venv ## what the rules stop, and what they should not have (SHOW=N examples, PART=held-back)
	@$(PYTHON) tests/detection/evaluate.py --corpora $(CORPORA) --show $(SHOW) --part $(or $(PART),develop)

.PHONY: detection

SECONDS ?= 60

fuzz: venv ## feed mutated messages to the engine for SECONDS=60, guided by coverage
	@$(PYTHON) tests/detection/fuzz.py -max_total_time=$(or $(filter-out 0,$(SECONDS)),60) -verbosity=0 -print_final_stats=1

.PHONY: fuzz
