# One command each. Cargo's target folder may lie elsewhere (CARGO_TARGET_DIR).
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
PYTHON ?= python3
VENV := $(TARGET_DIR)/checks-venv
MONGOD := $(abspath $(TARGET_DIR))/mongod/mongod
# Whoever has a mongod of another kind names it here.
export TEST_MONGOD ?= $(MONGOD)

# Which fuzz target, for how long, and in which of rustup's toolchains.
TARGET ?= analyze
SECONDS ?= 60
FUZZ_TOOLCHAIN ?= +nightly

.PHONY: run test check mongod fuzz bench measure deny fmt clean

## Build and start `sentinelflow dev` on http://127.0.0.1:8000
run:
	cargo run --release --locked --package sentinelflow-server -- dev

## Everything that CI runs
test: check mongod
	cargo test --locked --workspace
	cargo test --locked --package sentinelflow-forensic --no-default-features
	$(MAKE) $(VENV)/ready
	cargo build --locked --package sentinelflow-server
	$(VENV)/bin/python checks/readme.py $(TARGET_DIR)/debug/sentinelflow
	$(VENV)/bin/python checks/conformance.py $(TARGET_DIR)/debug/sentinelflow

## Format, lints and documentation; warnings are errors
check:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	cargo clippy --locked --package sentinelflow-server --no-default-features -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --locked --workspace --no-deps --quiet
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --locked --manifest-path fuzz/Cargo.toml --no-default-features -- --deny warnings

## Fetch the mongod that tests start (x86-64 Linux)
mongod: $(TEST_MONGOD)

## Look for an input that breaks a parser's promise (needs cargo-fuzz): make fuzz TARGET=csv SECONDS=600
fuzz:
	mkdir -p fuzz/corpus/$(TARGET)
	cargo $(FUZZ_TOOLCHAIN) fuzz run --sanitizer none $(TARGET) fuzz/corpus/$(TARGET) fuzz/seeds/$(TARGET) -- \
		-max_total_time=$(SECONDS) -dict=fuzz/dictionaries/$(TARGET).dict \
		-max_len=8192 -timeout=10 -rss_limit_mb=1024

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
	cargo fmt --manifest-path fuzz/Cargo.toml

clean:
	cargo clean

$(VENV)/ready: checks/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement checks/requirements.txt
	touch $@

$(MONGOD): checks/mongod.py | $(VENV)/ready
	$(VENV)/bin/python checks/mongod.py $(@D)
	touch $@
