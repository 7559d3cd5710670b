#!/usr/bin/env bash
# Uses an installed C package from an empty folder, as its README says: test.sh PREFIX WORK
set -euo pipefail
prefix=$(realpath "$1") work=$2
rm -rf "$work" && mkdir -p "$work" && cd "$work"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
readme=$prefix/share/doc/nyro/README.md
awk '/^```c$/{f=1;next} /^```/{f=0} f' "$readme" > hello.c
awk '/^```cpp$/{f=1;next} /^```/{f=0} f' "$readme" > hello.cpp
test -s hello.c && test -s hello.cpp

if command -v pkg-config > /dev/null; then
    flags=$(pkg-config --cflags --libs nyro)
else
    flags="-I$prefix/include -L$prefix/lib -lnyro"
    echo "not tried with pkg-config, which is not installed here"
fi
# shellcheck disable=SC2086
${CC:-cc} -std=c11 -Wall -Wextra -Werror -pedantic hello.c -o hello-c $flags
test "$(./hello-c)" = '{"_id":1,"name":"Ada"}'
# shellcheck disable=SC2086
${CXX:-c++} -std=c++17 -Wall -Wextra -Werror -pedantic hello.cpp -o hello-cpp $flags
test "$(./hello-cpp | wc -l)" = 2
readelf -d hello-c | grep -q 'NEEDED.*libnyro.so.0'

if command -v cmake > /dev/null; then
    cat > CMakeLists.txt << 'CMAKE'
cmake_minimum_required(VERSION 3.16)
project(hello C CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(nyro 0.1 REQUIRED)
add_executable(shared hello.cpp)
target_link_libraries(shared PRIVATE nyro::nyro)
add_executable(static hello.c)
target_link_libraries(static PRIVATE nyro::static)
CMAKE
    cmake -S . -B build -DCMAKE_PREFIX_PATH="$prefix" > cmake.txt && cmake --build build >> cmake.txt || { cat cmake.txt; exit 1; }
    ./build/shared > /dev/null
    env -u LD_LIBRARY_PATH ./build/static > /dev/null
else
    echo "not tried with CMake, which is not installed here"
fi
echo "ok: the C package, from an empty folder"
