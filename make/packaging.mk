# Wheels, pins and the Debian package.
APT_PACKAGES += debhelper lintian fakeroot logrotate mmdebstrap

# Debian 12's and 13's Python: one package serves both, and an upgrade from one to the other.
DEB_PYTHONS := 3.11 3.13
WHEELS := build/wheelhouse
GLIBC := manylinux_2_34 manylinux_2_28 manylinux_2_24 manylinux_2_17 manylinux2014
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' kemi/sipsieve/__init__.py)

# The wheels of these lists, for each Python.
fetch = for python in $(DEB_PYTHONS); do \
		$(VENV)/bin/pip download -q --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
			--python-version $$python $(foreach glibc,$(GLIBC),--platform $(glibc)_$(shell uname -m)) $(1) -d $(WHEELS); \
	done

requirements: venv ## pin the Python packages anew, with hashes (UPGRADE=--all or a package's name)
	@$(PYTHON) packaging/pin.py $(UPGRADE)

wheelhouse: $(WHEELS)/.done ## every wheel, for an installation without a network, in build/wheelhouse (ANALYZE=yes)
	@if [ -n '$(ANALYZE)' ]; then $(call fetch,$(EXTRAS:%=-r %)); fi

$(WHEELS)/.done: kemi/requirements.txt analysis/requirements.txt | venv
	@rm -rf $(WHEELS)
	@$(call fetch,-r kemi/requirements.txt -r analysis/requirements.txt)
	@touch $@

deb: toolchain profiled wheelhouse vendor ## the Debian package, in build/deb, checked by lintian
	@packaging/build-deb '$(VERSION)' $(WHEELS) '$(DEB_PYTHONS)'

.PHONY: requirements wheelhouse deb

# Inside each release's chroot the package is installed, run, upgraded and purged.
deb-test: deb build/trixie-wheels/.done ## prove the Debian package in a clean Debian 12 and a clean Debian 13
	@for suite in bookworm trixie; do \
		$(SUDO) packaging/chroot $$suite packaging/proof/run --junitxml=/src/build/junit-deb-$$suite.xml; \
	done

.PHONY: deb-test

# SUITE=trixie for Debian 13.
SUITE ?= bookworm
FRESH ?= demo unit

fresh-test: ## prove that `make demo` and `make unit` succeed on a bare Debian (SUITE=bookworm or trixie)
	@command -v mmdebstrap >/dev/null || $(MAKE) --no-print-directory deps APT_PACKAGES=mmdebstrap
	@$(if $(SUDO),sudo --preserve-env) packaging/fresh $(SUITE) $(FRESH)

.PHONY: fresh-test

# Ahead of the stages of the gate that need them, so that those only test.
prepare: build/trixie-wheels/.done wheelhouse lab-images ## fetch and make the wheels, chroots and images that the slower tests run in
	@$(SUDO) env CHROOT_PACKAGES="$(TRIXIE_PACKAGES)" packaging/chroot trixie true
	@for suite in bookworm trixie; do $(SUDO) packaging/chroot $$suite true; done

.PHONY: prepare

# A private key of ssh-keygen that SHA256SUMS is signed with; see RELEASE.md.
KEY ?=

# TRIAL=yes lets the example of a maintainer pass, for a build that is not published.
export TRIAL ?=

# Said before anything is built.
published:
	@packaging/published

release: published deb wheels venv ## sources, wheels, Debian package, CycloneDX list, SHA256SUMS in build/release (KEY=file signs, TRIAL=yes)
	@PYTHON='$(abspath $(PYTHON))' KEY='$(KEY)' packaging/release '$(VERSION)' build/release $(CORE_WHEELS)/*.whl build/deb/*.deb \
		$$(ls $(CORE_PROFILE) 2>/dev/null || true)
	@ls -l build/release

.PHONY: release published

# In other folders, with nothing that the first build left; see RELEASE.md.
AGAIN := build/again

reproduce: deb wheels ## build the Debian package and the wheels once more elsewhere: the same bytes, or which differ
	@rm -rf $(AGAIN)
	@packaging/build-deb '$(VERSION)' $(WHEELS) '$(DEB_PYTHONS)' $(AGAIN)/deb
	@$(MAKE) --no-print-directory wheels CORE_WHEELS=$(AGAIN)/wheels CARGO_TARGET_DIR='$(CURDIR)/$(AGAIN)/target'
	@packaging/same build/deb $(AGAIN)/deb '*.deb'
	@packaging/same $(CORE_WHEELS) $(AGAIN)/wheels '*.whl'

.PHONY: reproduce
