#!/bin/sh
# Installs the wheel, and then the source package, into empty environments, and runs the README's example there.
# Wanted: PYTHON, DIST, WORK (a folder for it).
set -eu
rm -rf "$WORK"
mkdir -p "$WORK"
readme="$(cd "$(dirname "$0")" && pwd)/README.md"
for package in "$DIST"/nyrodb-*.whl "$DIST"/nyrodb-*.tar.gz; do
    place="$WORK/$(basename "$package")"
    "$PYTHON" -m venv "$place"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check "$package"
    # The first block of Python in the README.
    awk '/^```python$/ {on = 1; next} /^```$/ {if (on) exit} on' "$readme" > "$place/example.py"
    test -s "$place/example.py"
    (cd "$place" && bin/python example.py)
    (cd "$place" && bin/python -c 'import nyrodb, nyrodb.aio, pathlib
assert (pathlib.Path(nyrodb.__file__).parent / "py.typed").exists()
print("installed", nyrodb.version)')
done
