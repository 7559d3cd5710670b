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

test-python: build-python ## Python: the package's tests, types and the examples
	cd $(PY_PACKAGE) && $(PY_BIN)/ruff check . && $(PY_BIN)/ruff format --check .
	cd $(PY_PACKAGE) && $(PY_BIN)/python -m pytest
	@mkdir -p $(PY)/run && cd $(PY)/run && $(PY_BIN)/python $(CURDIR)/examples/python/quickstart.py
	@cd $(PY)/run && $(PY_BIN)/python $(CURDIR)/examples/python/keyspace.py

bench-python: build-python ## Python: beside lmdb, rocksdict and sqlite3
	$(PY_BIN)/python -m pip install --quiet --disable-pip-version-check -r $(PY_PACKAGE)/bench/requirements.txt
	$(PY_BIN)/python $(PY_PACKAGE)/bench/bench.py

package-python: $(PY_VENV)/.made ## Python: wheel and sdist into dist/, checked
	PYTHON=$(PY_BIN)/python DIST=$(PY_DIST) sh $(PY_PACKAGE)/package.sh

test-package-python: package-python ## Python: install each into an empty environment and run the README's example
	PYTHON=$(PYTHON) DIST=$(PY_DIST) WORK=$(PY)/install sh $(PY_PACKAGE)/test-package.sh
