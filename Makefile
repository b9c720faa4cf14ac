# One command each. Cargo's target folder may lie elsewhere (CARGO_TARGET_DIR).
TARGET := $(or $(CARGO_TARGET_DIR),target)
PYTHON ?= python3
VENV := $(TARGET)/checks-venv

.PHONY: run test check bench measure deny fmt clean

## Build and start `sentinelflow dev` on http://127.0.0.1:8000
run:
	cargo run --release --locked --package sentinelflow-server -- dev

## Everything that CI runs
test: check
	cargo test --locked --workspace
	cargo test --locked --package sentinelflow-forensic --no-default-features
	$(MAKE) $(VENV)/ready
	cargo build --locked --package sentinelflow-server
	$(VENV)/bin/python checks/readme.py $(TARGET)/debug/sentinelflow
	$(VENV)/bin/python checks/conformance.py $(TARGET)/debug/sentinelflow

## Format, lints and documentation; warnings are errors
check:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	cargo clippy --locked --package sentinelflow-server --no-default-features -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --locked --workspace --no-deps --quiet

## Benchmarks of both engines and the store; bench/README.md tells of load and peers
bench:
	cargo bench --locked --workspace

## How long files and functions are: a mirror, not a fence
measure:
	$(PYTHON) checks/measure.py

## Licences, sources and bans (needs cargo-deny)
deny:
	cargo deny --offline check licenses bans sources

fmt:
	cargo fmt --all

clean:
	cargo clean

$(VENV)/ready: checks/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement checks/requirements.txt
	touch $@
