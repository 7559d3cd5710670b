#!/usr/bin/env bash
# Looking up by id from C, beside Rust and LMDB, in one run: run.sh BUILT WORK
#
# The programs take turns, so that what else the machine does falls on all of them; the fastest round of each counts.
# Twice: with documents that lie in the caches of the processor, and with ten times as many, where the pages of LMDB's
# tree do not any more. COUNT, TURNS, LARGE_COUNT (0: not the second time) and LARGE_TURNS say otherwise.
set -euo pipefail
built=$(realpath "$1") work=$2
cd "$(dirname "$0")/../.."
rm -rf "$work" && mkdir -p "$work"
flags=(-std=c11 -O2 -Wall -Wextra -Iinclude ffi/bench/get.c -o "$work/get" -L"$built" -lnyro "-Wl,-rpath,$(realpath "$work")")
ln -sf "$built/libnyro.so" "$work/libnyro.so.0"
"${CC:-cc}" "${flags[@]}" -DWITH_LMDB -llmdb 2> /dev/null || {
    "${CC:-cc}" "${flags[@]}"
    echo "not compared with LMDB: its header and library are not installed (Debian: liblmdb-dev)"
}

measure() { # measure COUNT TURNS ROUNDS
    for turn in $(seq "$2"); do
        "$work/get" "$work/$turn" "$1" "$3"
        "$built/examples/get" "$work/$turn" "$1" "$3"
        rm -f "$work/$turn".*
    done | awk -v count="$1" '
        !($1 in best) || $2 < best[$1] { best[$1] = $2 }
        END {
            printf "%d documents of 184 bytes, random ids, in memory, one thread; ns a call\n\n", count
            printf "| call | ns | beside Rust | LMDB / it |\n| --- | --- | --- | --- |\n"
            row("rust_get_copying", "rust_get_copying", "lmdb_copying")
            row("nyro_get", "rust_get_copying", "lmdb_copying")
            row("nyro_get_into", "rust_get_copying", "lmdb_copying")
            row("rust_get_borrowed", "rust_get_borrowed", "lmdb_borrowed")
            row("nyro_get_borrowed", "rust_get_borrowed", "lmdb_borrowed")
            row("lmdb_copying", "", ""); row("lmdb_borrowed", "", "")
            print ""
        }
        function row(name, rust, lmdb) {
            if (!(name in best)) return
            printf "| %s | %.0f | %s | %s |\n", name, best[name], \
                rust ? sprintf("%+.0f ns", best[name] - best[rust]) : "", \
                lmdb in best ? sprintf("%.1f", best[lmdb] / best[name]) : ""
        }'
}

measure "${COUNT:-100000}" "${TURNS:-5}" 5
[[ ${LARGE_COUNT:-1000000} == 0 ]] || measure "${LARGE_COUNT:-1000000}" "${LARGE_TURNS:-3}" 3
echo "goals: C at most 30 ns above Rust; LMDB / it at least 4"
