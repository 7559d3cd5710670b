# One command for each thing one does with this repository; `make help` lists them.
#
# Everything shares the target directory of Cargo, so that no two commands build the same thing twice.
# Builds that need other compiler flags (loom, sanitizers, Miri) have a folder of their own in it.

CARGO  ?= cargo
CC     ?= cc
CXX    ?= c++
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
DEBUG  := $(TARGET)/debug

PREFIX ?= /usr/local
PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help demo test packages bench-bindings test-rust safety test-extended test-interop test-examples test-loom \
        build-schedules test-shuttle build-asan test-asan test-tsan test-miri test-fuzz test-mutants \
        fmt lint docs header fixtures bench lint-bench bench-engine bench-space test-instructions \
        accept-instructions clean

help: ## list these commands
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## the main job on real data: the Unicode Character Database
	@$(CARGO) run --release --quiet -p nyro-cli --example demo

test: test-rust test-c test-conformance-c test-misuse test-examples test-node test-python test-go test-interop test-instructions safety ## everything that must pass before a change is merged
	@echo
	@echo "make test: all passed"

packages: package-c package-node test-package-python package-go ## all packages, in dist/, each tried from an empty folder

bench-bindings: bench-c bench-node bench-python bench-go ## each language beside its peers

test-interop: build-node build-python go-lib ## five languages take turns at one file
	$(CARGO) build --quiet -p nyro-ffi
	$(CARGO) build --quiet -p nyro-owned --example interop
	bindings/interop/run.sh $(DEBUG) $(TARGET)/interop $(PY_BIN)/python

test-rust: ## unit, integration, documentation and layer tests; those of the public calls without a mapping, too
	$(CARGO) test --workspace
	NYRO_READ_MODE=pread $(CARGO) test -p nyro --test engine -- api

SAFETY = NYRO_LOOM_TESTS="$(LOOM_TESTS)" NYRO_SHUTTLE_TESTS="$(SHUTTLE_TESTS)" $(DEBUG)/nyro-safety

safety: build-schedules ## the lanes that hold the promises of docs/safety.md; ends with a table (JSON=1: one object a line)
	$(CARGO) build -p nyro-safety
	@$(SAFETY) $(SAFETY_ARGS)

BUDGET ?= 14400

test-extended: build-schedules ## fuzzers, sanitizers; for BUDGET seconds changed code, the lanes with new seeds, and a bank
	$(CARGO) build -p nyro-safety
	@for more in test-fuzz test-asan test-tsan test-miri "test-mutants MUTANTS_SECONDS=$$(($(BUDGET) / 5))"; do \
	    echo "--- $$more"; $(MAKE) --no-print-directory $$more || failed="$$failed $${more%% *}"; done; \
	    asan=$$(test -x $(ASAN_SAFETY) && echo --asan $(ASAN_SAFETY)); \
	    $(SAFETY) --seconds $$(($(BUDGET) * 11 / 20)) --bank $$(($(BUDGET) / 4)) $$asan $(SAFETY_ARGS) \
	        || failed="$$failed safety"; \
	    if [ -n "$$failed" ]; then echo "test-extended: failed or not run:$$failed"; exit 1; fi

test-examples: ## run the examples in Rust and the demo
	$(CARGO) run --quiet -p nyro-cli --example quickstart
	$(CARGO) run --quiet -p nyro-cli --example keyspace
	$(CARGO) run --quiet -p nyro-cli --example demo

test-loom: ## every interleaving of the concurrent parts, by the model checker
	RUSTFLAGS="--cfg loom" $(CARGO) test --release -p nyro --lib --target-dir $(TARGET)/loom -- loom_

SHUTTLE_TESTS = $(TARGET)/shuttle/debug/nyro-schedules
SHUTTLE_COUNT ?= 500
# Where Cargo put the tests for loom.
LOOM_TESTS    = $$(cat $(TARGET)/loom/tests)

build-schedules: ## the two special builds that the lane `schedule` runs
	@mkdir -p $(TARGET)/loom
	RUSTFLAGS="--cfg loom" $(CARGO) test --release -p nyro --lib --target-dir $(TARGET)/loom --no-run \
	    --message-format=json-render-diagnostics | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' > $(TARGET)/loom/tests
	RUSTFLAGS="--cfg shuttle" CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) build -p nyro-safety --bin nyro-schedules \
	    --target-dir $(TARGET)/shuttle

test-shuttle: build-schedules ## the whole engine, its threads in random orders (SEED=1 SHUTTLE_COUNT=500 of each model)
	@for model in $$($(SHUTTLE_TESTS) --list); do for scheduler in uneven pct; do \
	    $(SHUTTLE_TESTS) $$model $$scheduler $(or $(SEED),1) $(SHUTTLE_COUNT) || exit 1; done; done

HOST        = $(shell rustc -vV | sed -n 's/^host: //p')
ASAN        = RUSTFLAGS="-Zsanitizer=address --cfg asan" $(CARGO) +nightly
ASAN_TARGET = --target $(HOST) --target-dir $(TARGET)/asan
ASAN_SAFETY = $(TARGET)/asan/$(HOST)/debug/nyro-safety
# They measure memory or time and nothing else, and most of either is the sanitizer's here.
ASAN_SKIPS  = a_load_twelve_times_its_cache_takes_no_more_memory_than_four_caches \
              one_large_transaction_takes_a_bounded_multiple_of_its_limit \
              ten_thousand_collections_take_a_few_pages_each_and_little_memory \
              a_crash_image_of_a_small_database_costs_far_under_a_millisecond
# Minutes each, and little but safe code. The target `document` of test-fuzz, and the kind `repairs` of the lane
# `damaged`, do the same under the sanitizer.
ASAN_SKIPS += a_document_that_looks_like_the_one_before_is_checked_as_any_other \
              random_documents_come_back_through_every_door \
              after_damage_to_any_page_every_document_that_lies_elsewhere_is_saved \
              hostile_files_are_repaired_or_refused_and_never_more

build-asan: # the build in which test-extended runs the lane of damaged files once more
	@rm -f $(ASAN_SAFETY)
	@$(CARGO) +nightly --version >/dev/null 2>&1 || { \
	    echo "test-asan: not run, it needs a nightly toolchain: rustup toolchain install nightly"; exit 1; }
	$(ASAN) build -p nyro-safety --bin nyro-safety $(ASAN_TARGET)

test-asan: build-asan ## the tests under AddressSanitizer (needs a nightly toolchain)
	$(ASAN) test -p nyro -p nyro-ffi --lib --tests --no-fail-fast $(ASAN_TARGET) -- $(ASAN_SKIPS:%=--skip %)

# Threads beside each other, each test of them; TSan does not know fences, so what it says of others must be read with care.
TSAN_TESTS = engine::writer_lock engine::published engine::delta log::tests::groups log::tests::races file::cache \
             file::pages meter:: signal

test-tsan: ## the tests with threads under ThreadSanitizer (needs nightly with rust-src)
	@test -d "$$(rustc +nightly --print sysroot 2>/dev/null)/lib/rustlib/src" || { \
	    echo "test-tsan: not run, it needs: rustup +nightly component add rust-src"; exit 1; }
	RUSTFLAGS="-Zsanitizer=thread" $(CARGO) +nightly test -Zbuild-std -p nyro --lib \
	    --target $(HOST) --target-dir $(TARGET)/tsan -- $(TSAN_TESTS)

test-miri: ## the parts with unsafe code under Miri (needs nightly with miri and rust-src)
	@$(CARGO) +nightly miri --version >/dev/null 2>&1 || { \
	    echo "test-miri: not run, it needs Miri: rustup +nightly component add miri rust-src"; exit 1; }
	MIRIFLAGS="-Zmiri-disable-isolation" $(CARGO) +nightly miri test -p nyro --lib --target-dir $(TARGET)/miri -- \
	    file::page record:: engine::delta engine::published

FUZZ_SECONDS ?= 30
FUZZ_TARGETS  = open_file log document run api

test-fuzz: ## the fuzzer on each of its targets for FUZZ_SECONDS (needs nightly and cargo-fuzz)
	@$(CARGO) +nightly --version >/dev/null 2>&1 || { \
	    echo "test-fuzz: not run, it needs a nightly toolchain: rustup toolchain install nightly"; exit 1; }
	@$(CARGO) +nightly fuzz --version >/dev/null 2>&1 || { \
	    echo "test-fuzz: not run, it needs cargo-fuzz: cargo install cargo-fuzz --locked"; exit 1; }
	@for target in $(FUZZ_TARGETS); do \
	    found=$(TARGET)/fuzz/found/$$target; mkdir -p $$found; \
	    (cd fuzz && CARGO_TARGET_DIR=$(TARGET)/fuzz $(CARGO) +nightly fuzz run $$target $$found corpus/$$target -- \
	        -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1) || exit 1; \
	done

MUTANTS_SECONDS ?= 600

test-mutants: ## change the engine in random places for MUTANTS_SECONDS; a test must fail (MUTANTS_SHARD=k/n: that shard)
	@$(CARGO) mutants --version >/dev/null 2>&1 || { \
	    echo "test-mutants: not run, it needs cargo-mutants: cargo install cargo-mutants --locked"; exit 1; }
	@$(PYTHON) -c 'import tomllib' 2>/dev/null || { echo "test-mutants: not run, it needs Python 3.11 or newer"; exit 1; }
	@CARGO_TARGET_DIR=$(TARGET) CARGO=$(CARGO) $(PYTHON) safety/mutants.py --seconds $(MUTANTS_SECONDS) \
	    $(if $(MUTANTS_SHARD),--shard $(MUTANTS_SHARD)) $(if $(MUTANTS_ONLY),--only '$(MUTANTS_ONLY)')

fmt: ## format all code
	$(CARGO) fmt --all

lint: ## rustfmt, clippy and the layer check, no warning allowed
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy -p nyro -- -D warnings
	$(CARGO) test --quiet -p nyro --test project

docs: ## the documentation of the Rust crates, no warning allowed
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

header: ## write include/nyro.h anew from the Rust source
	NYRO_WRITE_HEADER=1 $(CARGO) test --quiet -p nyro-ffi --test header

fixtures: ## make the kept files of a format that is not released yet anew
	$(CARGO) test --quiet -p nyro --test engine -- --ignored make_the_fixtures

# RocksDB needs a C++ compiler and libclang; without clang it is left out.
BENCH_FEATURES ?= $(shell command -v clang > /dev/null && echo rocksdb)
BENCH_ARGS     ?= --full --rounds 2 --report bench/report
BENCH           = CARGO_TARGET_DIR=$(TARGET)/bench $(CARGO)

bench: ## NyroDB beside LMDB, redb, fjall, RocksDB and SQLite (BENCH_ARGS=--quick: less than two minutes)
	cd bench && $(BENCH) build --release --features "$(BENCH_FEATURES)"
	$(TARGET)/bench/release/nyro-bench $(BENCH_ARGS)

INSTRUCTIONS = $(TARGET)/release/examples/instructions

test-instructions: ## instructions of gets, puts, commits and walks, beside those recorded
	$(CARGO) build --release -p nyro-owned --example instructions
	@$(PYTHON) bench/instructions.py $(INSTRUCTIONS)

accept-instructions: ## record the counts of now: make accept-instructions REASON='why'
	$(CARGO) build --release -p nyro-owned --example instructions
	@$(PYTHON) bench/instructions.py $(INSTRUCTIONS) --accept "$(REASON)"

lint-bench: ## formatting and clippy of the comparison
	cd bench && $(CARGO) fmt --check && $(BENCH) clippy --release --all-targets -- -D warnings

bench-engine: ## measure the engine alone
	$(CARGO) bench -p nyro --bench engine

bench-space: ## measure the size of the file and what holding it costs
	$(CARGO) bench -p nyro --bench space

clean: ## remove all that was built
	$(CARGO) clean

# Programs of other makers need a C library no newer than theirs: zig links against the one that it is told.
ZIG        := $(TARGET)/py/zig
GLIBC      := 2.28
ZIG_TARGET := $(shell uname -m)-unknown-linux-gnu

$(ZIG)/bin/cargo-zigbuild:
	$(PYTHON) -m venv $(ZIG)
	$(ZIG)/bin/pip install --quiet ziglang cargo-zigbuild

include ffi/targets.mk bindings/node/targets.mk bindings/python/targets.mk bindings/go/targets.mk
