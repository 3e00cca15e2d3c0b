.PHONY: log-schema
log-schema: venv ## the decision log's schema and tables, from the core's list of fields
	@PYTHONPATH=kemi $(PYTHON) -m sipsieve.decision_log.schema
