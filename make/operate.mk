APT_PACKAGES += prometheus groff-base rsyslog

man: venv ## write the man page from the commands' help
	@$(PYTHON) -m sipsieve_analysis.manual > packaging/sipsieve.1

.PHONY: man
