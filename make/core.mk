# The compiled core, kemi/core: what happens to each message. Rust, built by the stable interface of Python: one file
# serves 3.11 and later, and no Python is needed to build it.
CORE := kemi/sipsieve/_core.abi3.so
CORE_SOURCES := $(shell find kemi/core \( -path kemi/core/target -o -path kemi/core/fuzz \) -prune -o -type f \( -name '*.rs' -o -name 'Cargo.*' \) -print 2>/dev/null)
CARGO_TARGET_DIR ?= $(CURDIR)/kemi/core/target
export CARGO_TARGET_DIR
# Rust links by the C compiler. That the core needs no headers of Python is PyO3's to know.
CORE_PACKAGES := gcc libc6-dev
# cargo finds its compiler on the path. In kemi/core, since cargo reads its settings from there upwards.
cargo = cargo=$$(make/toolchain cargo) && cd kemi/core && export PATH="$$(dirname "$$cargo"):$$PATH" PYO3_NO_PYTHON=1 &&
# For a target by its name, so that flags are the core's and not those of what builds it, and as the wheels are built.
compile = host=$$(make/toolchain host) && $(cargo) case "$$RUSTFLAGS" in *-Cprofile-use*) export SIPSIEVE_PROFILED=yes;; esac; \
	"$$cargo" build --quiet --release --locked --features python --target "$$host"

# What the compiler is told of the ways that messages take: docs/decisions/0011-built-by-a-profile.md. Made once and kept; PROFILE=no
# builds without. Where its functions have changed since, they are built as without one, until `make profile` makes it anew.
CORE_PROFILE := build/core.profdata
PROFILE ?= yes
CORE_FLAGS = $(RUSTFLAGS)$(if $(filter no,$(PROFILE)),,$$(test ! -e $(abspath $(CORE_PROFILE)) || echo ' -Cprofile-use=$(abspath $(CORE_PROFILE))'))

# Where it is built and no source is newer, no Rust is asked for: in the chroots and images that get it from here.
core: ## build the compiled core, kemi/sipsieve/_core.abi3.so (PROFILE=no: sooner, and slower at work)
	@$(MAKE) -q --no-print-directory $(CORE) || { $(MAKE) --no-print-directory toolchain profiled; $(MAKE) -s --no-print-directory $(CORE); }

$(CORE): $(CORE_SOURCES) make/core.mk $(wildcard $(CORE_PROFILE))
	@export RUSTFLAGS="$(CORE_FLAGS)"; $(compile)
	@cp $(CARGO_TARGET_DIR)/$$(make/toolchain host)/release/libsipsieve_core.so $@.new
	@chmod 644 $@.new
	@mv $@.new $@

profile: ## learn anew which ways messages take through the core, for its compiler: build/core.profdata
	@rm -f $(CORE_PROFILE)
	@$(MAKE) --no-print-directory profiled
	@test -e $(CORE_PROFILE)

# Without a tool that reads the counts the core is built all the same, and that is said. Sources of a package come without the
# tests: they bring a profile, or are built without.
profiled:
	@if [ '$(PROFILE)' = no ] || [ -e $(CORE_PROFILE) ] || [ ! -e tests/detection/cases ]; then exit 0; fi; \
	tool=$$(make/toolchain profiler); \
	if [ -n "$$tool" ] && ! apt-cache show "$$tool" >/dev/null 2>&1; then $(SUDO) apt-get update -qq || true; fi; \
	if [ -n "$$tool" ] && apt-cache show "$$tool" >/dev/null 2>&1; then \
		$(MAKE) --no-print-directory deps APT_PACKAGES="$$tool"; \
	fi; \
	if ! make/toolchain profdata >/dev/null; then \
		echo "core: no llvm-profdata of this Rust's LLVM ($$tool): built without a profile, the guard adds an eighth more to a message." \
			"Mend it: rustup component add llvm-tools, or Debian's package of that name; then make profile core" >&2; exit 0; \
	fi; \
	$(MAKE) -s --no-print-directory $(CORE_PROFILE)

COUNTING := build/counting

$(CORE_PROFILE):
	@echo 'core: built so that it counts its ways, then taken through the cases of the tests (PROFILE=no leaves that out)'
	@$(MAKE) --no-print-directory deps APT_PACKAGES=python3-venv
	@rm -rf $(COUNTING)/python $(COUNTING)/raw
	@/usr/bin/python3 -m venv $(COUNTING)/python
	@$(COUNTING)/python/bin/pip install -q --disable-pip-version-check -r kemi/requirements.txt
	@export RUSTFLAGS='$(RUSTFLAGS) -Cprofile-generate=$(abspath $(COUNTING))/build' CARGO_TARGET_DIR='$(CARGO_TARGET_DIR)/counting'; \
		$(compile)
	@LLVM_PROFILE_FILE=$(COUNTING)/raw/%m.profraw $(COUNTING)/python/bin/python make/exercise \
		$(CARGO_TARGET_DIR)/counting/$$(make/toolchain host)/release/libsipsieve_core.so
	@"$$(make/toolchain profdata)" merge -o $@.new $(COUNTING)/raw/*.profraw
	@mv $@.new $@
	@rm -rf $(COUNTING)

toolchain: ## install Rust from Debian's packages, unless one that is new enough is there
	@$(MAKE) --no-print-directory deps APT_PACKAGES="$$(echo $(CORE_PACKAGES) $$(make/toolchain missing))"
	@make/toolchain cargo >/dev/null

core-test: core-lint ## the core's own tests; also in `make test`
	@mkdir -p build
	@junit=$(CURDIR)/make/core-junit; out=$(CURDIR)/build/junit-core.xml; $(cargo) "$$junit" "$$out" "$$cargo" test --locked

# Debian has them in packages of their own, rustup may have left them out: what is not there is not asked.
core-lint: toolchain
	@$(cargo) \
	if "$$cargo" fmt --version >/dev/null 2>&1; then \
		"$$cargo" fmt --check; "$$cargo" fmt --check --manifest-path fuzz/Cargo.toml; \
	else echo 'core-lint: no rustfmt, left out'; fi; \
	if "$$cargo" clippy --version >/dev/null 2>&1; then \
		"$$cargo" clippy --quiet --locked --all-targets --features python -- -D warnings; \
		"$$cargo" clippy --quiet --locked --all-targets --manifest-path fuzz/Cargo.toml -- -D warnings; \
	else echo 'core-lint: no clippy, left out'; fi; \
	RUSTDOCFLAGS='-D warnings' "$$cargo" doc --quiet --locked --no-deps --document-private-items

# Every crate's sources, as Cargo.lock names them, for a build without a network.
VENDOR := build/vendor

vendor: $(VENDOR)/.done ## the sources of all crates, in build/vendor, for a build without a network

$(VENDOR)/.done: kemi/core/Cargo.lock kemi/core/Cargo.toml
	@$(MAKE) --no-print-directory toolchain
	@rm -rf $(VENDOR)
	@mkdir -p $(VENDOR)
	@vendor=$(CURDIR)/$(VENDOR); $(cargo) "$$cargo" vendor --quiet --locked "$$vendor" >/dev/null
	@touch $@

.PHONY: vendor core profile profiled core-test core-lint toolchain

# The core for machines without Rust: a wheel that holds sipsieve/_core.abi3.so and no more. By zig, whose linker knows the
# symbols of each glibc, so that it loads on older ones too, and on the other kind of machine. Without a profile: that names
# functions as cargo calls them when it builds by itself, and for another tool it calls them otherwise.
WHEEL_MACHINES ?= x86_64 aarch64
CORE_WHEELS := build/core-wheels

wheels: toolchain $(VENV)/.wheels ## wheels of the compiled core, in build/core-wheels (WHEEL_MACHINES="x86_64 aarch64")
	@rm -rf $(CORE_WHEELS)
	@mkdir -p kemi/core/target/python/sipsieve
	@venv=$(abspath $(VENV)) out=$(CURDIR)/$(CORE_WHEELS); $(cargo) export PATH="$$venv/bin:$$PATH"; \
	for machine in $(WHEEL_MACHINES); do \
		target=$$machine-unknown-linux-gnu; \
		libraries=$$(rustc --print sysroot)/lib/rustlib/$$target; \
		if [ ! -d "$$libraries" ] && command -v rustup >/dev/null; then rustup -q target add $$target; fi; \
		if [ ! -d "$$libraries" ]; then \
			echo "wheels: Rust has no standard library for $$target here: rustup target add $$target (Debian's packages" \
				"have only the machine's own), or WHEEL_MACHINES=$$(uname -m)" >&2; exit 1; \
		fi; \
		RUSTFLAGS="--remap-path-prefix=$(CURDIR)=. --remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=cargo" \
			CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/wheels maturin build --quiet --release --zig --target $$target \
			--compatibility manylinux_2_28 --interpreter python3.11 --out "$$out"; \
	done
	@ls $(CORE_WHEELS)

$(VENV)/.wheels: packaging/requirements-wheels.txt | $(VENV)/.runs
	@$(VENV)/bin/pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@

.PHONY: wheels

notice: toolchain ## write the table of crates in NOTICE anew
	@$(cargo) cd ../.. && python3 packaging/crates.py

# A path to a clone of the RustSec advisory database: it is read, nothing is fetched.
ADVISORIES ?=

audit: toolchain ## crates: licences as NOTICE has them, known vulnerabilities by cargo-audit (ADVISORIES=folder)
	@$(cargo) cd ../.. && python3 packaging/crates.py --check
	@if [ -z '$(ADVISORIES)' ]; then \
		echo 'audit: vulnerabilities are not looked up without ADVISORIES, a clone of https://github.com/RustSec/advisory-db'; \
	else \
		advisories='$(abspath $(ADVISORIES))'; $(cargo) "$$cargo" audit --version >/dev/null 2>&1 || { \
			echo 'audit: there is no cargo-audit: cargo install --locked cargo-audit' >&2; exit 1; }; \
		"$$cargo" audit --no-fetch --stale --db "$$advisories"; \
	fi

# A folder of OSV's JSON for PyPI, unpacked: it is read, nothing is fetched.
PYPI_ADVISORIES ?=

audit-python: venv ## known vulnerabilities of the pinned Python packages (PYPI_ADVISORIES=folder of OSV's JSON)
	@[ -d '$(PYPI_ADVISORIES)' ] || { echo 'audit-python: PYPI_ADVISORIES=folder has to name the unpacked archive of' \
		'advisories that osv.dev offers for PyPI' >&2; exit 1; }
	@$(PYTHON) packaging/advisories.py '$(PYPI_ADVISORIES)'

.PHONY: notice audit audit-python
