#!/bin/sh
# Builds the wheel and the source package into $DIST and checks both. Wanted: PYTHON (with requirements-dev.txt), DIST.
#
# zig is the linker: it links against glibc 2.28, whatever this machine has.
set -eu
cd "$(dirname "$0")"
bin=$(dirname "$PYTHON")
mkdir -p "$DIST"
rm -f "$DIST"/nyrodb-*
# maturin asks the Python that it finds for zig.
PATH="$bin:$PATH" "$bin/maturin" build --release --strip --zig --compatibility manylinux_2_28 --out "$DIST"
"$bin/maturin" sdist --out "$DIST"
wheel=$(ls "$DIST"/nyrodb-*.whl)
PATH="$bin:$PATH" "$bin/auditwheel" show "$wheel" | tee /dev/stderr | grep -q 'manylinux_2_\(17\|28\)' \
    || { echo "package-python: the wheel needs a glibc newer than 2.28"; exit 1; }
"$bin/abi3audit" --strict --verbose "$wheel"
"$bin/twine" check --strict "$DIST"/nyrodb-*
