#!/usr/bin/env bash
# Makes the C and C++ tarball and tries it from an empty folder: package.sh BUILT WORK DIST
#
#   DIST/nyro-VERSION-ARCH-linux.tar.gz      the tree of `make install`, without debug information
set -euo pipefail
built=$(realpath "$1") work=$2 dist=$3
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
name=nyro-$version-$(uname -m)-linux
rm -rf "$work" && mkdir -p "$work/$name" "$work/unpacked" "$dist"
work=$(realpath "$work") dist=$(realpath "$dist")
ffi/package/install.sh "$built" "$work/$name"
strip --strip-unneeded "$work/$name/lib/libnyro.so.$version"
strip --strip-debug "$work/$name/lib/libnyro.a"

needs=$(objdump -T "$work/$name/lib/libnyro.so.$version" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1)
others=$(nm -D --defined-only "$work/$name/lib/libnyro.so.$version" | awk '{print $3}' | grep -v '^nyro_' || true)
test -z "$others" || { echo "libnyro.so exports other names: $others"; exit 1; }
case $needs in
    GLIBC_2.[0-9] | GLIBC_2.1[0-9] | GLIBC_2.2[0-8]) echo "libnyro.so needs $needs: no newer than 2.28" ;;
    *) [[ ${ANY_GLIBC:-} ]] || { echo "libnyro.so needs $needs, newer than 2.28"; exit 1; } ;;
esac

tar -C "$work" -czf "$dist/$name.tar.gz" "$name"
tar -C "$work/unpacked" -xzf "$dist/$name.tar.gz"
ffi/package/test.sh "$work/unpacked/$name" "$work/try"
ls -l "$dist/$name.tar.gz" | awk '{print $5 " bytes: " $9}'
