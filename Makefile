# Two commands do everything on a machine with a Rust toolchain: `make demo` and `make test`.
# What each needs beyond that, ops/ci/with-tools.sh installs at a pinned version, outside the system where it can.

CARGO ?= cargo
export CARGO_TERM_PROGRESS_WHEN ?= never
# One package alone would be built with fewer features, and every library once more: builds are of the workspace.
BUILT = $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help demo test soak machines fmt lint deny nextest doc simulate simulate-stack simulate-gossip zoo failpoints chaos chaos-report bench \
	long-tests model fuzz coverage mutants clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Four organisations govern a real service, break it, and prove it (under a minute after the build)
	$(CARGO) run --release --locked --bin althing -- dev --demo

test: SIMULATE ?= --seeds 0..10000 --minutes 25
test: FORM ?= short
test: FUZZ ?= --turn 1
test: fmt lint deny doc nextest failpoints simulate fuzz chaos chaos-report ## Everything that must pass: format, lints, licences, documents, all tests, a kill at every failpoint, thousands of seeds of the simulation, a minute of fuzzing, minutes of broken daemons

soak: ## Run every machine that breaks it in its long form, for hours, also when one of them finds something
	$(MAKE) --keep-going machines; held=$$?; $(MAKE) chaos-report; exit $$held

machines: SIMULATE ?= --seeds 0..100000 --minutes 300
machines: SEEDS ?= 300
machines: long-tests simulate simulate-stack simulate-gossip zoo failpoints model fuzz coverage mutants chaos

fmt: ## Check the format
	$(CARGO) fmt --all --check

lint: ## Check with clippy; a warning is an error
	$(CARGO) clippy --workspace --exclude althing-fuzz --all-targets --all-features --locked -- --deny warnings

deny: ## Check licences, banned crates and sources
	$(CARGO) fetch --locked --quiet
	ops/ci/with-tools.sh cargo deny --offline --locked check --allow duplicate bans licenses sources

doc: ## Build the documents; a broken link is an error
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --workspace --no-deps --locked --document-private-items

nextest: ## Run all tests
	ops/ci/install-chaos-tools.sh
	ops/ci/with-tools.sh ops/ci/run-tests.sh

simulate: ## Run thousands of seeds of the simulation (SIMULATE=--seeds 0..100000); writes target/chaos/simulation.json
	@mkdir -p target/chaos
	$(CARGO) run --release --locked --bin althing -- chaos simulate --complete --figures target/chaos/simulation.json $(SIMULATE)

simulate-stack: SCENARIO ?= stack
simulate-stack: ## Run whole nodes on a simulated network (SCENARIO=stack SEEDS=40 FIRST=1), gossip under attack (SCENARIO=gossip), or one seed again (SEED=7)
	@mkdir -p target/chaos
	cd chaos/sim && $(CARGO) run --locked --bin althing-stack -- $(if $(SEED),$(SCENARIO) $(SEED),swarm $(SCENARIO) $(or $(FIRST),1) $(or $(SEEDS),$(if $(filter gossip,$(SCENARIO)),4,40)) ../../target/chaos/$(SCENARIO).json)

simulate-gossip:
	$(MAKE) simulate-stack SCENARIO=gossip SEEDS=

zoo: ## Plant known bugs into a copy of the sources and let the simulation find each; writes target/chaos/zoo.json
	$(CARGO) build --release --locked --workspace --bin zoo
	$(BUILT)/release/zoo all

long-tests: ## Run the long forms of tests that have a short one, and print what they measure
	ops/ci/with-tools.sh cargo nextest run --profile long --no-fail-fast --release --workspace --locked --run-ignored only --success-output final -E "test(ten_thousand_blocks) | test(every_twins_schedule) | test(every_call_to_a_disk) | test(a_million_elections)"

failpoints: ## Kill a daemon at every failpoint, in about four minutes; writes target/chaos/failpoints.json
	ops/ci/with-tools.sh cargo nextest run --workspace --locked --run-ignored only --success-output final -E "binary(failpoints)"

chaos: ## Break meshes of real daemons for about an hour, as root (FORM=short: eight minutes, FORM=mixes: forty); writes target/chaos/processes.json
	ops/ci/install-chaos-tools.sh
	$(CARGO) build --release --locked --bin althing
	ops/ci/run-chaos.sh $(FORM)

chaos-report: ## Put what these machines have measured beside their goals; writes target/chaos/report.json
	python3 ops/ci/chaos-report.py target/chaos

bench: ## Measure the figures against etcd; writes target/bench/report.json (BENCH=--cold-build, --short, --throughput, --finality, --governance)
	ops/ci/install-etcd.sh
	$(CARGO) bench --locked --bench figures -- $(BENCH)

model: ## Try every order of events on the real rules (MODEL=--short for CI); writes target/chaos/model.json
	$(CARGO) build --release --locked --workspace --features althing-chaos/model --example model
	$(BUILT)/release/examples/model $(MODEL)

fuzz: ## Fuzz every decoder, file, rule and port (FUZZ_SECONDS=60 each), or some (FUZZ="apply log", FUZZ="--turn 2"); all of them write target/chaos/fuzz.json
	ops/ci/install-chaos-tools.sh
	ops/ci/fuzz.sh $(FUZZ)

coverage: ## Say which branches of the deciding code the tests take; writes target/chaos/coverage.json
	ops/ci/with-proof-tools.sh ops/ci/coverage.sh

mutants: ## Break the deciding code in small ways and see what the tests notice (MUTANTS=short); writes target/chaos/mutants.json
	ops/ci/with-tools.sh ops/ci/with-proof-tools.sh ops/ci/mutants.sh

clean: ## Remove what was built
	$(CARGO) clean
