CORPORA ?= ../shared/corpora
SHOW ?= 0

detection: venv ## what the rules stop, and what they should not have (SHOW=N examples, PART=held-back)
	@$(PYTHON) tests/detection/evaluate.py --corpora $(CORPORA) --show $(SHOW) --part $(or $(PART),develop)

.PHONY: detection
