#!/usr/bin/env bash
# What libnyro.so shows to the world: exports.sh LIBNYRO.SO
#
#   its name for the loader is libnyro.so.0
#   functions of include/nyro.h  ==  symbols that it exports       (not one more, of Rust's or of anybody's)
#   each of them is called in the misuse tests
set -euo pipefail
library=$1
cd "$(dirname "$0")/../.."
readelf -d "$library" | grep -q 'Library soname: \[libnyro.so.0\]' || { echo "the soname of $library is not libnyro.so.0"; exit 1; }
exported=$(nm -D --defined-only "$library" | awk '{ print $NF }' | sed 's/@.*//' | sort)
declared=$(${CC:-cc} -E -P -xc include/nyro.h | tr -d '\n' | grep -oE '[a-z0-9_ *]+ \*?nyro_[a-z_]+ *\(' | grep -vE 'static inline|return ' \
    | grep -oE 'nyro_[a-z_]+ *\($' | tr -d ' (' | sort)
diff <(echo "$declared") <(echo "$exported") || { echo "exported (>) is not what nyro.h declares (<)"; exit 1; }
for function in $declared; do
    grep -qw "$function" ffi/tests/c/misuse*.c || { echo "$function is not called in the misuse tests"; exit 1; }
done
echo "ok: libnyro.so.0 exports the $(wc -l <<< "$declared") functions of nyro.h and nothing else"
