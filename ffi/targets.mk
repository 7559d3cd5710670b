# The C functions and the headers.

.PHONY: test-c test-conformance-c test-misuse test-exports test-install install bench-c package-c

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

test-conformance-c: ## the scenarios of bindings/conformance through the C functions
	$(CARGO) build -p nyro-ffi
	@CC="$(CC)" ffi/tests/c/run.sh conformance $(DEBUG) $(TARGET)/c

test-misuse: test-exports ## the C functions called wrongly in every way, plain, under AddressSanitizer and valgrind
	@CC="$(CC)" ffi/tests/c/run.sh misuse $(DEBUG) $(TARGET)/c

test-exports: ## what libnyro.so exports: the functions of nyro.h, nothing else
	$(CARGO) build -p nyro-ffi
	@ffi/tests/exports.sh $(DEBUG)/libnyro.so

bench-c: ## look documents up from C, beside Rust and LMDB
	$(CARGO) build --release -p nyro-ffi
	$(CARGO) build --release -p nyro-owned --example get
	ffi/bench/run.sh $(TARGET)/release $(TARGET)/bench-c

package-c: $(ZIG)/bin/cargo-zigbuild ## the C and C++ tarball, in dist/, tried from an empty folder
	PATH=$(ZIG)/bin:$$PATH $(CARGO) zigbuild --release -p nyro-ffi --target $(ZIG_TARGET).$(GLIBC)
	ffi/package/package.sh $(TARGET)/$(ZIG_TARGET)/release $(TARGET)/package-c dist
