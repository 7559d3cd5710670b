#!/usr/bin/env bash
# Compiles the tests in C strictly and runs them: run.sh conformance|misuse BUILT OUT
#
#   conformance   with the shared and the static library, and under AddressSanitizer
#   misuse        with the shared library, under AddressSanitizer, and, where it is installed, valgrind
#
# Under the tools things are repeated less often; the effort can be given by NYRO_EFFORT, in percent.
set -euo pipefail
what=$1 built=$(realpath "$2") out=$3
cd "$(dirname "$0")/../../.."
mkdir -p "$out"
cc=${CC:-cc}
strict=(-std=c11 -O1 -g -Wall -Wextra -Werror -pedantic -Iinclude)
shared=(-L"$built" -lnyro "-Wl,-rpath,$out" -lpthread -ldl)
static=("$built/libnyro.a" -lpthread -ldl -lm)
sanitized=(-fsanitize=address -fno-omit-frame-pointer)
memcheck=(valgrind -q --suppressions=ffi/tests/c/valgrind.supp --fair-sched=try --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite --show-leak-kinds=definite)
ln -sf "$built/libnyro.so" "$out/libnyro.so.0"
export NYRO_LIBRARY="$built/libnyro.so" ASAN_OPTIONS=detect_leaks=1

quietly() { # quietly WHAT COMMAND..
    local name=$1; shift
    "$@" > "$out/output.txt" 2>&1 || { cat "$out/output.txt"; echo "failed: $name"; exit 1; }
    echo "ok: $name: $(tail -n 1 "$out/output.txt")"
}

if [[ $what == conformance ]]; then
    sources=(ffi/tests/c/conformance*.c ffi/tests/c/value.c)
    "$cc" "${strict[@]}" "${sources[@]}" -o "$out/conformance" "${shared[@]}"
    "$cc" "${strict[@]}" "${sources[@]}" -o "$out/conformance-static" "${static[@]}"
    "$cc" "${strict[@]}" "${sanitized[@]}" "${sources[@]}" -o "$out/conformance-asan" "${static[@]}"
    "$out/conformance" bindings/conformance/*.json
    quietly "static library" "$out/conformance-static" bindings/conformance/*.json
    quietly "AddressSanitizer" "$out/conformance-asan" bindings/conformance/*.json
else
    sources=(ffi/tests/c/misuse*.c)
    "$cc" "${strict[@]}" "${sources[@]}" -o "$out/misuse" "${shared[@]}"
    "$cc" "${strict[@]}" "${sanitized[@]}" "${sources[@]}" -o "$out/misuse-asan" "${static[@]}"
    "$out/misuse" --effort "${NYRO_EFFORT:-100}"
    quietly "AddressSanitizer" "$out/misuse-asan" --effort "${NYRO_EFFORT:-20}"
    if command -v valgrind > /dev/null; then
        quietly "valgrind" "${memcheck[@]}" "$out/misuse" --here --no-fork --effort "${NYRO_EFFORT:-1}"
    else
        echo "not run under valgrind, which is not installed here"
    fi
fi
