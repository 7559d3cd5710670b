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
.PHONY: help demo test test-rust test-c test-install install test-examples test-loom test-asan test-miri \
        fmt lint docs header fixtures bench bench-space clean

help: ## list these commands
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## the main job on real data: the Unicode Character Database
	@$(CARGO) run --release --quiet -p nyro-cli --example demo

test: test-rust test-c test-examples test-loom ## everything that must pass before a change is merged
	@echo
	@echo "make test: all passed"

test-rust: ## unit, integration, documentation and layer tests; those of the public calls without a mapping, too
	$(CARGO) test --workspace
	NYRO_READ_MODE=pread $(CARGO) test -p nyro --test engine -- api a_disk_without_threads

test-c: ## C and C++: the examples and the tests of the headers, with every compiler there is, under a sanitizer
	$(CARGO) build -p nyro-ffi
	@CC="$(CC)" CXX="$(CXX)" ffi/tests/run.sh $(DEBUG) $(TARGET)/c

test-install: ## install the C package into an empty folder and use it there, by pkg-config and by CMake
	@rm -rf $(TARGET)/install
	$(MAKE) install PREFIX=$(TARGET)/install
	@ffi/package/test.sh $(TARGET)/install $(TARGET)/install-test

install: ## build the C library and install it: make install PREFIX=/usr/local
	$(CARGO) build --release -p nyro-ffi
	ffi/package/install.sh $(TARGET)/release "$(DESTDIR)$(PREFIX)"

test-examples: ## run the Rust quick start and the demo
	$(CARGO) run --quiet -p nyro-cli --example quickstart
	$(CARGO) run --quiet -p nyro-cli --example demo

test-loom: ## every interleaving of the concurrent parts, by the model checker
	RUSTFLAGS="--cfg loom" $(CARGO) test --release -p nyro --lib --target-dir $(TARGET)/loom -- loom_

test-asan: ## the tests under AddressSanitizer (needs a nightly toolchain)
	@$(CARGO) +nightly --version >/dev/null 2>&1 || { \
	    echo "test-asan: not run, it needs a nightly toolchain: rustup toolchain install nightly"; exit 1; }
	RUSTFLAGS="-Zsanitizer=address" $(CARGO) +nightly test -p nyro -p nyro-ffi --lib --tests \
	    --target $(shell rustc -vV | sed -n 's/^host: //p') --target-dir $(TARGET)/asan

test-miri: ## the parts with unsafe code under Miri (needs nightly with miri and rust-src)
	@$(CARGO) +nightly miri --version >/dev/null 2>&1 || { \
	    echo "test-miri: not run, it needs Miri: rustup +nightly component add miri rust-src"; exit 1; }
	MIRIFLAGS="-Zmiri-disable-isolation" $(CARGO) +nightly miri test -p nyro --lib --target-dir $(TARGET)/miri -- \
	    file::page record:: engine::delta engine::published

fmt: ## format all code
	$(CARGO) fmt --all

lint: ## rustfmt, clippy and the layer check, no warning allowed
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test --quiet -p nyro --test project

docs: ## the documentation of the Rust crates, no warning allowed
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

header: ## write include/nyro.h anew from the Rust source
	NYRO_WRITE_HEADER=1 $(CARGO) test --quiet -p nyro-ffi --test header

fixtures: ## make the kept files of a format that is not released yet anew
	$(CARGO) test --quiet -p nyro --test engine -- --ignored make_the_fixtures

bench: ## measure the engine
	$(CARGO) bench -p nyro --bench engine

bench-space: ## measure the size of the file and what holding it costs
	$(CARGO) bench -p nyro --bench space

clean: ## remove all that was built
	$(CARGO) clean

# ---- Go (bindings/go) ----------------------------------------------------------------------------------

GO     ?= go
GO_DIR := bindings/go
GO_LIB := $(GO_DIR)/lib
GO_OS  := $(shell $(GO) env GOOS 2>/dev/null)_$(shell $(GO) env GOARCH 2>/dev/null)

.PHONY: go-lib test-go bench-go package-go

go-lib: ## put libnyro.a and nyro.h where the Go package finds them
	$(CARGO) build --release -p nyro-ffi
	@mkdir -p $(GO_LIB)/$(GO_OS)
	cp include/nyro.h $(GO_LIB)/nyro.h
	strip -S -o $(GO_LIB)/$(GO_OS)/libnyro.a $(TARGET)/release/libnyro.a
	@# Go looks for changes in the headers of a package, not in what it links: this one tells it of a new library.
	@echo "/* $$(cksum < $(GO_LIB)/$(GO_OS)/libnyro.a) */" > $(GO_DIR)/library.h
	@echo '#include "lib/nyro.h"' >> $(GO_DIR)/library.h

test-go: go-lib ## the Go package: vet, tests, the race detector, the strictest checks of cgo, the example
	@test -z "$$(gofmt -l $(GO_DIR) examples/go)" || { gofmt -l $(GO_DIR) examples/go; exit 1; }
	cd $(GO_DIR) && $(GO) vet ./... && $(GO) test ./...
	cd $(GO_DIR) && $(GO) test -race ./...
	cd $(GO_DIR) && GOEXPERIMENT=cgocheck2 GODEBUG=cgocheck=1 $(GO) test ./...
	@cd $(GO_DIR) && CGO_ENABLED=0 $(GO) build . 2>&1 | grep -q nyro_needs_cgo || \
	    { echo "test-go: without cgo the build does not say why it fails"; exit 1; }
	cd examples/go && $(GO) vet . && $(GO) run .

bench-go: go-lib ## measure the Go package beside bbolt, Badger and Pebble
	cd $(GO_DIR)/bench && $(GO) run .

package-go: go-lib ## the Go package with the library inside, in dist/, tried from an empty folder
	$(GO_DIR)/package.sh $(TARGET)/package-go dist

# --------------------------------------------------------------------------------------------------------

bench-c: ## look documents up from C, beside Rust and LMDB
	$(CARGO) build --release -p nyro-ffi
	$(CARGO) build --release -p nyro-owned --example get
	ffi/bench/run.sh $(TARGET)/release $(TARGET)/bench-c

# Programs of other makers need a C library no newer than theirs: zig links against the one that it is told.
ZIG        := $(TARGET)/py/zig
GLIBC      := 2.28
ZIG_TARGET := $(shell uname -m)-unknown-linux-gnu

$(ZIG)/bin/cargo-zigbuild:
	$(PYTHON) -m venv $(ZIG)
	$(ZIG)/bin/pip install --quiet ziglang cargo-zigbuild

package-c: $(ZIG)/bin/cargo-zigbuild ## the C and C++ tarball, in dist/, tried from an empty folder
	PATH=$(ZIG)/bin:$$PATH $(CARGO) zigbuild --release -p nyro-ffi --target $(ZIG_TARGET).$(GLIBC)
	ffi/package/package.sh $(TARGET)/$(ZIG_TARGET)/release $(TARGET)/package-c dist

# The Node package: the tests take the binary from where the package has it.
NODE_DIR    := bindings/node
NODE_BINARY  = $(NODE_DIR)/prebuilds/$(shell node -p "require('./$(NODE_DIR)/lib/platform.cjs').platform()")/nyrodb.node

.PHONY: build-node test-node bench-node package-node

build-node: ## build the native half of the Node package for its tests
	$(CARGO) build --release -p nyro-node
	@mkdir -p $(dir $(NODE_BINARY))
	@cp $(TARGET)/release/libnyro_node.so $(NODE_BINARY).new && mv $(NODE_BINARY).new $(NODE_BINARY)

test-node: build-node ## test the Node package (1 000 terminated workers: NYRO_WORKERS=1000; more kills: NYRO_KILLS=200)
	cd $(NODE_DIR) && npm install --silent --no-audit --no-fund --no-package-lock
	cd $(NODE_DIR) && node --expose-gc --test test/*.test.cjs
	@mkdir -p $(TARGET)/node/node_modules
	@ln -sfn $(CURDIR)/$(NODE_DIR) $(TARGET)/node/node_modules/nyrodb
	@cp examples/node/quickstart.mjs $(TARGET)/node/ && cd $(TARGET)/node && node quickstart.mjs

bench-node: build-node ## measure the Node package beside lmdb-js, better-sqlite3 and classic-level
	cd $(NODE_DIR)/bench && npm install --silent --no-audit --no-fund --no-package-lock
	cd $(NODE_DIR)/bench && node --expose-gc bench.mjs

package-node: $(ZIG)/bin/cargo-zigbuild ## the npm package, in dist/, tried from an empty folder
	PATH=$(ZIG)/bin:$$PATH $(CARGO) zigbuild --release -p nyro-node --target $(ZIG_TARGET).$(GLIBC)
	$(NODE_DIR)/package/package.sh $(TARGET)/$(ZIG_TARGET)/release/libnyro_node.so $(TARGET)/package-node dist

# Python: the package nyrodb. Its tools live in an environment of their own, never in the system's.
PY         := $(TARGET)/python
PY_PACKAGE := $(CURDIR)/bindings/python
PY_VENV    := $(PY)/venv
PY_BIN     := $(PY_VENV)/bin
PY_DIST    := $(CURDIR)/dist

.PHONY: build-python test-python bench-python package-python test-package-python

$(PY_VENV)/.made: $(PY_PACKAGE)/requirements-dev.txt
	$(PYTHON) -m venv $(PY_VENV)
	$(PY_BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade -r $<
	@touch $@

build-python: $(PY_VENV)/.made
	cd $(PY_PACKAGE) && VIRTUAL_ENV=$(PY_VENV) $(PY_BIN)/maturin develop --quiet --release

test-python: build-python ## Python: the package's tests, types and the example
	cd $(PY_PACKAGE) && $(PY_BIN)/ruff check . && $(PY_BIN)/ruff format --check .
	cd $(PY_PACKAGE) && $(PY_BIN)/python -m pytest
	@mkdir -p $(PY)/run && cd $(PY)/run && $(PY_BIN)/python $(CURDIR)/examples/python/quickstart.py

bench-python: build-python ## Python: beside lmdb, rocksdict and sqlite3
	$(PY_BIN)/python -m pip install --quiet --disable-pip-version-check -r $(PY_PACKAGE)/bench/requirements.txt
	$(PY_BIN)/python $(PY_PACKAGE)/bench/bench.py

package-python: $(PY_VENV)/.made ## Python: wheel and sdist into dist/, checked
	PYTHON=$(PY_BIN)/python DIST=$(PY_DIST) sh $(PY_PACKAGE)/package.sh

test-package-python: package-python ## Python: install each into an empty environment and run the README's example
	PYTHON=$(PYTHON) DIST=$(PY_DIST) WORK=$(PY)/install sh $(PY_PACKAGE)/test-package.sh
