# `make` alone lists the goals; each is one or two commands that also work by hand.

TARGET ?= pipeline
SECONDS ?= 60
CONTAINER ?= podman
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
CORPUS := target/fuzz-corpus
PROFILE := target/profile/katalog.profdata

.PHONY: help build profile static container deb test lint doc fuzz bench instructions update fixtures ci

# List the goals
help:
	@awk '/^# / { text = substr($$0, 3) } /^[a-z]+:/ { sub(/:.*/, ""); if (text != "") printf "make %-12s %s\n", $$0, text } !/^#/ { text = "" }' $(MAKEFILE_LIST)

# Build the program: target/release/katalog
build:
	cargo build --release --locked

# Measure the program at work, so that the static program is a tenth faster from then on (needs llvm-profdata)
profile:
	packages/profile.sh $(PROFILE)

# Build the program without shared libraries: target/static/katalog (Linux with glibc 2.34 or newer)
static:
	RUSTFLAGS="-C target-feature=+crt-static $(addprefix -Cprofile-use=,$(realpath $(PROFILE)))" CARGO_TARGET_DIR=target/static/build \
		cargo build --release --locked --target $(HOST)
	strip -o target/static/katalog target/static/build/$(HOST)/release/katalog

# Build the image with podman, or what CONTAINER names: katalog:latest
container: static
	$(CONTAINER) build --file Containerfile --tag katalog .

# Build the Debian package: target/deb
deb: static
	packages/deb.sh target/static/katalog target/deb

# Run all tests
test:
	cargo test --workspace --locked

# Check format and lints
lint:
	cargo fmt --check
	cargo clippy --workspace --locked --all-targets -- -D warnings

# Build the documentation of the code
doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# Look for inputs that break it; TARGET is logfmt, json, export, codec, archive, journal or pipeline, SECONDS how long (needs cargo-fuzz)
fuzz:
	mkdir -p $(CORPUS)/$(TARGET)
	RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tests/fuzz $(TARGET) $(CORPUS)/$(TARGET) fixtures/fuzz/$(TARGET) -- \
		-max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
		-artifact_prefix=fixtures/fuzz/$(TARGET)/

# Measure the stages, then the whole program
bench:
	cargo bench --locked
	tests/bench/run.sh

# Count the instructions of the program against those of another build, BASELINE (needs valgrind)
instructions: build
	tests/bench/instructions.sh "$(BASELINE)" target/release/katalog

# Write the expected outputs of the cases, the help and the tables of the documents anew; read the difference before you keep it
update:
	UPDATE=1 cargo test --locked --test main -- golden readme usage

# Write fixtures/inputs anew
fixtures:
	cargo run --release --locked --example fixtures -- all fixtures/inputs

# Run what the continuous integration runs
ci:
	.ci/run
