# The README's commands. Each sets up what it needs by itself (Debian 12, root).
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: demo test lint unit end-to-end bench setup binaries help

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## Install the packages that the build, the demo and the tests need
	@qemu-tests/setup.sh

binaries: setup
	cargo build --locked --release --workspace

demo: binaries ## Install a bare machine over the network and watch it join a cluster (ARGS=--hold to look around)
	cargo run --locked --release -q -p qemu-tests --bin demo -- $(ARGS)

test: lint unit end-to-end ## Everything that CI runs

lint: setup ## Format, lints, dependencies, licences, import rules, Nix expressions
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	.ci/check-dependencies
	.ci/cargo-deny --log-level error check bans licenses sources
	nixos/check.sh

unit: setup ## Unit, property and integration tests against the real binaries
	cargo test --locked --workspace --exclude qemu-tests -- --test-threads=4

end-to-end: binaries ## Machines in QEMU: installs, refusals, power cuts
	cargo test --locked --release -p qemu-tests --tests -- --test-threads=2

bench: binaries ## Sizes and speed, beside the peers, in one run
	bench/run.sh
