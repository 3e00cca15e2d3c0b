# The Ansible role, in a container.
ansible-test: lab-deps deb ## play the role in a container with Debian's Kamailio, twice, and attack what it has made
	@DOCKER_BUILDKIT=0 docker build -q --network host -t sipsieve-ansible-test packaging/ansible >/dev/null
	@mkdir -p build
	@$(PYTHON) -m pytest -p no:cacheprovider --rootdir . packaging/ansible --junitxml=build/junit-ansible.xml

.PHONY: ansible-test
