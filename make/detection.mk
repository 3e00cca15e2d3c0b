CORPORA ?= ../shared/corpora
SHOW ?= 0

detection: venv ## what the rules stop, and what they should not have (SHOW=N examples, PART=held-back, OPTIONS="--json …")
	@$(PYTHON) tests/detection/evaluate.py --corpora $(CORPORA) --show $(SHOW) --part $(or $(PART),develop) $(OPTIONS)
# PostgreSQL and MariaDB are asked too where they are installed; each runs in a namespace of its own and ends with it.
detection-executed: venv ## the same for payloads composed at random that did something when run (SEED=1 COUNT=300 PART=… SHOW=…)
	@$(PYTHON) tests/detection/executed.py --seed $(or $(SEED),1) --count $(or $(COUNT),300) --show $(SHOW) \
		--part $(or $(PART),develop) $(OPTIONS)

detection-by-hand: venv ## the same for payloads that somebody wrote by hand who had read the rules (PART=held-back SHOW=N OPTIONS="--executed …")
	@$(PYTHON) tests/detection/by_hand.py --part $(or $(PART),develop) --show $(SHOW) $(OPTIONS)

detection-lawful: venv ## what becomes of lawful values of header fields, SDP and texts, by class (PART=held-back SHOW=N)
	@$(PYTHON) tests/detection/lawful.py --part $(or $(PART),develop) --show $(SHOW) $(OPTIONS)

detection-structural: venv ## whether a message's structure can hide an attack, each way with legal twins (OPTIONS="--json …")
	@$(PYTHON) tests/detection/structural.py $(OPTIONS)

detection-differential: venv ## whether a real Kamailio's script is shown what was not looked at (SEED=1 COUNT=100000 SHOW=…)
	@$(PYTHON) tests/detection/differential.py --seed $(or $(SEED),1) --count $(or $(COUNT),100000) \
		--show $(or $(filter-out 0,$(SHOW)),5) $(OPTIONS)

model: venv ## train the second opinion on free text that [detection] model asks: kemi/sipsieve/detection/model (CORPORA=…)
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PYTHON) tests/detection/train.py --corpora $(CORPORA)

.PHONY: model detection detection-by-hand detection-lawful detection-executed detection-structural detection-differential

SECONDS ?= 60

fuzz: toolchain ## hunt for inputs that break the core, SECONDS=60 for each target (TARGETS="reader scrub" SANITIZER=address)
	@$(MAKE) -s --no-print-directory deps APT_PACKAGES=g++
	@export PATH="$$(dirname "$$(make/toolchain cargo)"):$$PATH" CARGO_TARGET_DIR=$(CURDIR)/kemi/core/fuzz/target; \
	kemi/core/fuzz/run $(or $(filter-out 0,$(SECONDS)),60) $(TARGETS)

# With the seeds run once: what OSS-Fuzz would start from holds.
oss-fuzz: toolchain ## what OSS-Fuzz would make of this checkout, in build/oss-fuzz/out (SANITIZER=address as there)
	@$(MAKE) -s --no-print-directory deps APT_PACKAGES=g++
	@rm -rf build/oss-fuzz; mkdir -p build/oss-fuzz/src build/oss-fuzz/out; ln -s $(CURDIR) build/oss-fuzz/src/sipsieve
	@export PATH="$$(dirname "$$(make/toolchain cargo)"):$$PATH" CARGO_TARGET_DIR=$(CURDIR)/kemi/core/fuzz/target; \
	SRC=$(CURDIR)/build/oss-fuzz/src OUT=$(CURDIR)/build/oss-fuzz/out SANITIZER=$(or $(SANITIZER),none) kemi/core/fuzz/oss-fuzz/build.sh
	@cd build/oss-fuzz/out; for seeds in *_seed_corpus.zip; do \
		name=$${seeds%_seed_corpus.zip}; python3 -m zipfile -e $$seeds $$name.seeds; \
		./$$name -runs=1 -max_len=4096 -timeout=20 $$name.seeds >$$name.txt 2>&1 || { cat $$name.txt; exit 1; }; \
		echo "$$name: ready, $$(ls $$name.seeds | wc -l) seeds"; done

sanitized: venv ## hostile messages at a Kamailio whose core is built with AddressSanitizer (COUNT=100000 SEED=1)
	@$(MAKE) -s --no-print-directory deps APT_PACKAGES="gcc kamailio-python3-modules"
	@export PATH="$$(dirname "$$(make/toolchain cargo)"):$$PATH"; target=$$(rustc -vV | sed -n 's/^host: //p'); cd kemi/core; \
	RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true \
	CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true cargo build --quiet --release --locked --features python --target $$target \
		--target-dir target/address; \
	cd ../..; $(PYTHON) tests/sanitized.py kemi/core/target/address/$$target/release/libsipsieve_core.so \
		--count $(or $(COUNT),100000) --seed $(or $(SEED),1)

fuzz-engine: venv ## the same for whole decisions, guided by the coverage of the Python that makes them
	@$(PYTHON) tests/detection/fuzz.py -max_total_time=$(or $(filter-out 0,$(SECONDS)),60) -verbosity=0 -print_final_stats=1

.PHONY: fuzz oss-fuzz sanitized fuzz-engine

novelty: venv ## what a site's own normal finds that no rule knows, and how often it is wrong (PART=… OPTIONS="--json …")
	@$(PYTHON) tests/novelty/measure.py --corpora $(CORPORA) --part $(or $(PART),develop) $(OPTIONS)

.PHONY: novelty
