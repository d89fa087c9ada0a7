# Two commands do everything on a machine with a Rust toolchain: `make demo` and `make test`.
# What each needs beyond that, ops/ci/with-tools.sh installs at a pinned version, outside the system where it can.

CARGO ?= cargo
export CARGO_TERM_PROGRESS_WHEN ?= never

.DEFAULT_GOAL := help
.PHONY: help demo test fmt lint deny nextest doc bench soak clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Four organisations govern a real service, break it, and prove it (under a minute after the build)
	$(CARGO) run --release --locked --bin althing -- dev --demo

test: fmt lint deny doc nextest ## Everything that must pass: format, lints, licences, documents, all tests

fmt: ## Check the format
	$(CARGO) fmt --all --check

lint: ## Check with clippy; a warning is an error
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings

deny: ## Check licences, banned crates and sources
	$(CARGO) fetch --locked --quiet
	ops/ci/with-tools.sh cargo deny --offline --locked check --allow duplicate bans licenses sources

doc: ## Build the documents; a broken link is an error
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --workspace --no-deps --locked --document-private-items

nextest: ## Run all tests
	ops/ci/with-tools.sh ops/ci/run-tests.sh

soak: ## Run the long forms of tests that have a short one, and print what they measure
	ops/ci/with-tools.sh cargo nextest run --release --package althing-actors --locked --run-ignored only --success-output final -E "test(ten_thousand_blocks)"

bench: ## Measure the figures against etcd; writes target/bench/report.json (BENCH=--cold-build, --short, --throughput, --finality)
	ops/ci/install-etcd.sh
	$(CARGO) bench --locked --bench figures -- $(BENCH)

clean: ## Remove what was built
	$(CARGO) clean
