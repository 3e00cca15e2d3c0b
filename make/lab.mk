# The lab in containers.
COMPOSE = $$(docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose) -f lab/compose.yml

lab: lab-images ## replay every scenario in containers, without the guard and with it
	@PYTHONPATH=lab $(PYTHON) -m replayer lab $(SCENARIOS)

lab-images: lab-deps lab/wheels/.done ## build the lab's images, from a base made here where no registry is reachable
	@# Images that begin alike share their first layer, so one of each kind is built before its likes.
	@export COMPOSE_DOCKER_CLI_BUILD=0; \
	$(COMPOSE) build -q --parallel edge attacker billing monitor && $(COMPOSE) build -q --parallel edge-plain pbx phones

lab-up: lab-images ## start the lab and leave it running, for lab/replay
	@PYTHONPATH=lab $(PYTHON) -c 'from replayer.containers import Containers; Containers().up()'

lab-down: ## end the lab with all that it stored
	@$(COMPOSE) --profile honeypot down -v -t 3

lab-logs: ## what the lab's containers said
	@$(COMPOSE) logs --no-color

# Docker itself is left alone where it is there, from whatever source.
lab-deps: venv
	@missing=$$(command -v docker >/dev/null || echo docker.io; \
		{ docker compose version || command -v docker-compose; } >/dev/null 2>&1 || echo docker-compose); \
	if [ -n "$$missing" ]; then $(MAKE) --no-print-directory deps APT_PACKAGES="$$missing"; fi
	@docker info >/dev/null 2>&1 || { echo "the Docker engine does not answer: start it, or ask for the right to use it" >&2; exit 1; }
	@docker image inspect debian:bookworm-slim >/dev/null 2>&1 || docker pull -q debian:bookworm-slim 2>/dev/null || { \
		$(MAKE) --no-print-directory deps APT_PACKAGES=mmdebstrap && $(SUDO) lab/base-image; }

# The edge's image takes its wheels from here, so that the build needs no package index.
lab/wheels/.done: kemi/requirements.txt | venv
	@rm -f lab/wheels/*.whl
	@$(VENV)/bin/pip download -q --disable-pip-version-check --only-binary :all: \
		--no-deps --require-hashes --python-version 3.11 --dest lab/wheels -r kemi/requirements.txt
	@touch $@

.PHONY: lab lab-images lab-up lab-down lab-logs lab-deps
