# The README's commands. Each sets up what it needs by itself (Debian 12, root).
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: demo test lint built unit end-to-end audit fuzz bench setup binaries help

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## Install the packages that the build, the demo and the tests need
	@qemu-tests/setup.sh

binaries: setup
	cargo build --locked --release --workspace

demo: binaries ## Install a bare machine over the network and watch it join a cluster (ARGS=--hold to look around)
	cargo run --locked --release -q -p qemu-tests --bin demo -- $(ARGS)

test: ## Everything that CI runs
	@.ci/skipped forget
	$(MAKE) lint unit end-to-end
	@.ci/skipped tell

# One profile for lints, programs and tests, and always the whole workspace: no crate is compiled twice.
CI := --locked --profile ci --workspace
MACHINES := --test disks --test e2e

lint: setup ## Format, lints, dependencies, licences, import rules, Nix expressions
	cargo fmt --all --check
	cargo clippy $(CI) --all-targets -- -D warnings
	cargo clippy $(CI) $(MACHINES) -- -D warnings
	.ci/check-commits
	.ci/check-dependencies
	.ci/check-modules
	.ci/check-threat-model
	.ci/cargo-deny --log-level error check bans licenses sources
	@.ci/skipped note "advisories" "they need the network: make audit"
	nixos/check.sh

built: setup
	cargo build $(CI) --all-targets
	cargo build $(CI) $(MACHINES)

unit: built ## Unit, property and integration tests against the real binaries
	cargo test $(CI) -- --test-threads=4

end-to-end: built ## Machines in QEMU: installs, refusals, power cuts
	cargo test $(CI) $(MACHINES) -- --test-threads=3

audit: ## What needs the network: advisories; and the rules of deny.toml, read by cargo-deny
	.ci/cargo-deny check

FUZZ_SECONDS := 300
FUZZ := crates/nix-store:nar crates/nix-store:narinfo crates/disk:layout crates/tpm:claims crates/tpm:log crates/protocol:requests boot-server:packets boot-server:web

fuzz: ## What peers send, fuzzed for FUZZ_SECONDS each (needs cargo-fuzz and a nightly toolchain)
	for target in $(FUZZ); do \
	  (cd $${target%:*} && cargo +nightly fuzz run $${target#*:} -- -max_total_time=$(FUZZ_SECONDS)) || exit 1; \
	done

bench: binaries ## Sizes and speed, beside the peers, in one run
	bench/run.sh
