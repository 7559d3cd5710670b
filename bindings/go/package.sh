#!/usr/bin/env bash
# Makes the tarball of the Go package with the library inside, and tries it from an empty folder:
# package.sh WORK DIST. Needs what `make go-lib` makes.
#
# The program that is run is the first one in README.md.
set -euo pipefail
work=$1 dist=$2
mkdir -p "$dist"
dist=$(realpath "$dist")
rm -rf "$work" && mkdir -p "$work/pack/nyro-go" "$work/empty/hello"
work=$(realpath "$work")
here=$(realpath "$(dirname "$0")")
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/../../Cargo.toml" | head -1)
platform=$(go env GOOS)_$(go env GOARCH)
name=nyro-go-$version-$platform

pack=$work/pack/nyro-go
cd "$here"
cp ./*.go native.h library.h go.mod README.md ../../LICENSE-APACHE ../../LICENSE-MIT "$pack"
mkdir -p "$pack/internal/codec" "$pack/lib/$platform"
cp internal/codec/*.go "$pack/internal/codec"
cp lib/nyro.h "$pack/lib"
cp "lib/$platform/libnyro.a" "$pack/lib/$platform"
# Tests need the repository; examples are part of the documentation.
find "$pack" -name '*_test.go' ! -name example_test.go -delete
tar -C "$work/pack" -czf "$dist/$name.tar.gz" nyro-go

tar -C "$work/empty" -xzf "$dist/$name.tar.gz"
cd "$work/empty/hello"
sed -n '/^```go$/,/^```$/p' "$here/README.md" | sed '/^```go$/d; /^```$/q' | sed '/^```$/d' > main.go
export GOFLAGS=-mod=mod GOPROXY=off
go mod init hello 2> /dev/null
go mod edit -replace github.com/nyrodb/nyro/bindings/go=../nyro-go
go mod tidy
got=$(go run .)
[ "$got" = "Ada true <nil>" ] || { echo "package-go: the program of the README said: $got"; exit 1; }
echo "ok: $name.tar.gz, $(du -h "$dist/$name.tar.gz" | cut -f1)"
