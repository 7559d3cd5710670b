#!/usr/bin/env bash
# Compiles the examples and tests of C and C++ strictly and runs them: run.sh BUILT OUT
#
#   each compiler (the given ones, and clang where it is installed)
#     x  shared and static library, plain and with AddressSanitizer
#   valgrind, where it is installed, over the examples and the test of nyro.hpp
set -euo pipefail
built=$(realpath "$1") out=$2
cd "$(dirname "$0")/../.."
mkdir -p "$out"
strict=(-O1 -g -Wall -Wextra -Werror -pedantic -Iinclude)
shared=(-L"$built" -lnyro "-Wl,-rpath,$out")
static=("$built/libnyro.a" -lpthread -ldl -lm)
ln -sf "$built/libnyro.so" "$out/libnyro.so.0"
programs=(examples/c/*.c examples/cpp/*.cpp ffi/tests/cpp/header.cpp)

compile() { # compile NAME SOURCE LINK.. [-- FLAGS..]
    local name=$1 source=$2; shift 2
    case $source in
        *.c) "$cc" -std=c11 "${strict[@]}" "$source" -o "$out/$name" "$@" ;;
        *) "$cxx" -std=c++17 "${strict[@]}" "$source" -o "$out/$name" "$@" ;;
    esac
}
run() { (cd "$out" && "$@" > "$out/output.txt" 2>&1) || { cat "$out/output.txt"; echo "failed: $*"; exit 1; }; }

compilers=("$CC $CXX")
if command -v clang++ > /dev/null && [[ $CC != clang ]]; then compilers+=("clang clang++"); fi
for pair in "${compilers[@]}"; do
    read -r cc cxx <<< "$pair"
    for source in "${programs[@]}"; do
        name=$(basename "${source%.*}")-$cc-${source##*.}
        compile "$name" "$source" "${shared[@]}"
        run "./$name"
        compile "$name-static" "$source" "${static[@]}"
        run "./$name-static"
        compile "$name-asan" "$source" -fsanitize=address -fno-omit-frame-pointer "${shared[@]}"
        run env ASAN_OPTIONS=detect_leaks=1 "./$name-asan"
        echo "ok: $source ($cc: shared, static, AddressSanitizer)"
    done
done
command -v clang++ > /dev/null || echo "not run with clang, which is not installed here"
if command -v valgrind > /dev/null; then
    read -r cc cxx <<< "${compilers[0]}"
    for source in "${programs[@]}"; do
        name=$(basename "${source%.*}")-$cc-${source##*.}
        run valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite "./$name"
        echo "ok: $source (valgrind)"
    done
else
    echo "not run under valgrind, which is not installed here"
fi
