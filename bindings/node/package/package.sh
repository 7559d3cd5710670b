#!/usr/bin/env bash
# Makes the npm package and tries it from an empty folder: package.sh LIBRARY WORK DIST
#
#   DIST/nyrodb-VERSION.tgz      JavaScript, types, and the binary for this platform
set -euo pipefail
mkdir -p "$2" "$3"
library=$(realpath "$1") work=$(realpath "$2") dist=$(realpath "$3")
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' ../../Cargo.toml | head -1)
grep -q "\"version\": \"$version\"" package.json || { echo "package.json has another version than $version"; exit 1; }
rm -rf "$work" && mkdir -p "$work/package" "$work/tools" "$work/empty"

# What the package is made of; the binary without debug information.
cp -r lib level README.md package.json ../../LICENSE-MIT ../../LICENSE-APACHE "$work/package/"
platform=$(node -p "require('./lib/platform.cjs').platform()")
mkdir -p "$work/package/prebuilds/$platform"
cp "$library" "$work/package/prebuilds/$platform/nyrodb.node"
strip --strip-unneeded "$work/package/prebuilds/$platform/nyrodb.node"
(cd "$work/package" && npm pkg delete scripts devDependencies)

needs=$(objdump -T "$work/package/prebuilds/$platform/nyrodb.node" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1)
case $needs in
    GLIBC_2.[0-9] | GLIBC_2.1[0-9] | GLIBC_2.2[0-8]) echo "nyrodb.node needs $needs: no newer than 2.28" ;;
    *) [[ ${ANY_GLIBC:-} ]] || { echo "nyrodb.node needs $needs, newer than 2.28"; exit 1; } ;;
esac
others=$(nm -D --undefined-only "$work/package/prebuilds/$platform/nyrodb.node" | awk '{print $NF}' |
    grep -E '^(_ZN|uv_|node_)' | grep -v node_api || true)
test -z "$others" || { echo "nyrodb.node uses more than Node-API: $others"; exit 1; }

(cd "$work/package" && npm pack --silent --pack-destination "$dist" > /dev/null)
tarball=$dist/nyrodb-$version.tgz

# The gates.
(cd "$work/tools" && npm init -y > /dev/null && npm install --silent --no-audit --no-fund publint @arethetypeswrong/cli)
"$work/tools/node_modules/.bin/publint" --strict "$tarball"
"$work/tools/node_modules/.bin/attw" "$tarball"

# From an empty folder: no install script may run, and none is needed.
(
    cd "$work/empty"
    npm init -y > /dev/null
    npm install --silent --no-audit --no-fund --ignore-scripts "$tarball"
    # The README's example, as a module and as CommonJS; it prints what it says.
    awk '/^```js$/ { on = 1; next } /^```$/ { if (on) exit } on' "$OLDPWD/README.md" > readme.mjs
    node readme.mjs | tee readme.txt
    grep -q "tags: \[ 'math' \]" readme.txt && grep -q '^Grace$' readme.txt
    rm -f app.nyro*
    {
        echo "const { open } = require('nyrodb');"
        echo '(async () => {'
        grep -v '^import' readme.mjs
        echo '})();'
    } > readme.cjs
    node readme.cjs | cmp - readme.txt
    cp "$OLDPWD"/../../examples/node/*.mjs . && node quickstart.mjs > /dev/null && node keyspace.mjs > /dev/null
    # The abstract-level database needs what the package itself does not.
    npm install --silent --no-audit --no-fund --ignore-scripts abstract-level@3
    node -e "new (require('nyrodb/level').NyroLevel)(':memory:').put('a', 'b').then(() => console.log('level: fine'))"
)
ls -l "$tarball" | awk '{print $5 " bytes: " $9}'
