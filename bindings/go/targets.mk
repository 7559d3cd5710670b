# The Go package. It links libnyro.a, which `make go-lib` puts where its #cgo line finds it.

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
	@# Go looks for changes in what it compiles, not in what it links: this string tells it of a new library.
	@echo "#define NYRO_LIBRARY \"$$(cksum < $(GO_LIB)/$(GO_OS)/libnyro.a)\"" > $(GO_DIR)/library.h
	@echo '#include "lib/nyro.h"' >> $(GO_DIR)/library.h

test-go: go-lib ## the Go package: vet, tests, the race detector, the strictest checks of cgo, the examples
	@test -z "$$(gofmt -l $(GO_DIR) examples/go)" || { gofmt -l $(GO_DIR) examples/go; exit 1; }
	cd $(GO_DIR) && $(GO) vet ./... && $(GO) test -count=1 ./...
	cd $(GO_DIR) && $(GO) test -count=1 -race ./...
	cd $(GO_DIR) && GOEXPERIMENT=cgocheck2 GODEBUG=cgocheck=1 $(GO) test -count=1 ./...
	@cd $(GO_DIR) && CGO_ENABLED=0 $(GO) build . 2>&1 | grep -q nyro_needs_cgo || \
	    { echo "test-go: without cgo the build does not say why it fails"; exit 1; }
	cd examples/go && $(GO) vet ./... && $(GO) run . && $(GO) run ./keyspace

bench-go: go-lib ## measure the Go package beside bbolt, Badger and Pebble
	cd $(GO_DIR)/bench && $(GO) run .

package-go: go-lib ## the Go package with the library inside, in dist/, tried from an empty folder
	$(GO_DIR)/package.sh $(TARGET)/package-go dist
