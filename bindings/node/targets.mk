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
	@cp examples/node/*.mjs $(TARGET)/node/ && cd $(TARGET)/node && node quickstart.mjs && node keyspace.mjs

bench-node: build-node ## measure the Node package beside lmdb-js, better-sqlite3 and classic-level
	cd $(NODE_DIR)/bench && npm install --silent --no-audit --no-fund --no-package-lock
	cd $(NODE_DIR)/bench && node --expose-gc bench.mjs

package-node: $(ZIG)/bin/cargo-zigbuild ## the npm package, in dist/, tried from an empty folder
	PATH=$(ZIG)/bin:$$PATH $(CARGO) zigbuild --release -p nyro-node --target $(ZIG_TARGET).$(GLIBC)
	$(NODE_DIR)/package/package.sh $(TARGET)/$(ZIG_TARGET)/release/libnyro_node.so $(TARGET)/package-node dist
