#!/usr/bin/env bash
# Lays the C and C++ package out below a prefix: install.sh BUILT PREFIX [DESTDIR]
#
#   PREFIX/include/nyro.h nyro.hpp
#   PREFIX/lib/libnyro.so -> libnyro.so.0 -> libnyro.so.VERSION, libnyro.a
#   PREFIX/lib/pkgconfig/nyro.pc        pkg-config --cflags --libs nyro
#   PREFIX/lib/cmake/nyro/              find_package(nyro)
#   PREFIX/share/doc/nyro/              licences, README
set -euo pipefail
built=$1 root=${3:-}$2
here=$(cd "$(dirname "$0")" && pwd)
top=$here/../..
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$top/Cargo.toml" | head -1)
minor=${version%.*}

install -d "$root/include" "$root/lib/pkgconfig" "$root/lib/cmake/nyro" "$root/share/doc/nyro"
install -m 644 "$top/include/nyro.h" "$top/include/nyro.hpp" "$root/include/"
install -m 755 "$built/libnyro.so" "$root/lib/libnyro.so.$version"
ln -sf "libnyro.so.$version" "$root/lib/libnyro.so.0"
ln -sf libnyro.so.0 "$root/lib/libnyro.so"
install -m 644 "$built/libnyro.a" "$root/lib/"
fill() { sed -e "s|@VERSION@|$version|g; s|@MAJOR_MINOR@|$minor|g" "$here/$1.in" > "$2/$1"; }
fill nyro.pc "$root/lib/pkgconfig"
fill nyroConfig.cmake "$root/lib/cmake/nyro"
fill nyroConfigVersion.cmake "$root/lib/cmake/nyro"
install -m 644 "$top/LICENSE-MIT" "$top/LICENSE-APACHE" "$top/docs/errors.md" "$root/share/doc/nyro/"
install -m 644 "$top/docs/c.md" "$root/share/doc/nyro/README.md"
