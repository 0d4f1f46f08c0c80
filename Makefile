# `make` alone lists the goals; each is one or two commands that also work by hand.

TARGET ?= pipeline
SECONDS ?= 60
CORPUS := target/fuzz-corpus

.PHONY: help build test lint doc fuzz bench update fixtures ci

# List the goals
help:
	@awk '/^# / { text = substr($$0, 3) } /^[a-z]+:/ { sub(/:.*/, ""); if (text != "") printf "make %-9s %s\n", $$0, text } !/^#/ { text = "" }' $(MAKEFILE_LIST)

# Build the program: target/release/katalog
build:
	cargo build --release --locked

# Run all tests
test:
	cargo test --locked

# Check format and lints
lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

# Build the documentation of the code
doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked

# Look for inputs that break it; TARGET is logfmt, json, export, journal or pipeline, SECONDS how long (needs cargo-fuzz)
fuzz:
	mkdir -p $(CORPUS)/$(TARGET)
	RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tests/fuzz $(TARGET) $(CORPUS)/$(TARGET) fixtures/fuzz/$(TARGET) -- \
		-max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
		-artifact_prefix=fixtures/fuzz/$(TARGET)/

# Measure the stages, then the whole program
bench:
	cargo bench --locked
	tests/bench/run.sh

# Write the expected outputs of the cases and the tables of the documents anew; read the difference before you keep it
update:
	UPDATE=1 cargo test --locked --test main -- golden readme

# Write fixtures/inputs anew
fixtures:
	cargo run --release --locked --example fixtures -- all fixtures/inputs

# Run what the continuous integration runs
ci:
	.ci/run
