#!/usr/bin/env bash
# Five languages take turns at one file: run.sh BUILT WORK PYTHON
#
# BUILT has libnyro.so and the Rust example, PYTHON has the package installed; Node and Go find theirs in the tree.
set -euo pipefail
built=$(realpath "$1") work=$2 python=$(realpath -s "$3")
cd "$(dirname "$0")"
rm -rf "$work" && mkdir -p "$work/node_modules"
work=$(realpath "$work")
"${CC:-cc}" -std=c11 -Wall -Wextra -Werror -pedantic -I../../include interop.c -o "$work/c" \
    -L"$built" -lnyro "-Wl,-rpath,$work"
ln -s "$built/libnyro.so" "$work/libnyro.so.0"
(cd go && go build -o "$work/go" .)
ln -s "$PWD/../node" "$work/node_modules/nyrodb"
cp interop.mjs "$work/"

run() { # run LANGUAGE ARGUMENTS..
    local language=$1; shift
    case $language in
        rust) "$built/examples/interop" "$@" ;;
        c | go) "$work/$language" "$@" ;;
        node) node "$work/interop.mjs" "$@" ;;
        python) "$python" interop.py "$@" ;;
    esac
}

for order in "rust c node python go" "go python node c rust" "node go c rust python"; do
    path=$work/${order// /-}.nyro before=()
    for language in $order; do
        run "$language" "$path" write "$language" "${before[@]}"
        before+=("$language")
    done
    for language in $order; do
        run "$language" "$path" read "${before[@]}"
    done
    echo "ok: $order"
done
