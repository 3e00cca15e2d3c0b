# The reference edge as an image.
IMAGE ?= sipsieve-edge

image: lab-deps wheelhouse core ## the reference edge as a container image (IMAGE=sipsieve-edge)
	@DOCKER_BUILDKIT=0 docker build -q --network host -t $(IMAGE) -f packaging/container/Dockerfile . >/dev/null

image-test: image ## start the image with a PBX behind it, and prove what docs/container.md says
	@mkdir -p build
	@$(PYTHON) -m pytest -p no:cacheprovider --rootdir . packaging/container --junitxml=build/junit-image.xml

.PHONY: image image-test
