# The reference deployment in the foreground. Each SIPSIEVE_* variable of kamailio.cfg may be set.

serve: venv ## the reference deployment, in the foreground, until Ctrl-C
	@exec make/serve
.PHONY: serve
