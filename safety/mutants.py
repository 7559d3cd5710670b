#!/usr/bin/env python3
"""Changes the engine in one place at a time and looks whether a test fails.

    mutants.py                        a random shard, then the ones behind it, until the time is over
    mutants.py --seconds 3600         so long (default: 600); the change that was begun is ended
    mutants.py --shard 17/250         that one only, whole
    mutants.py --only REGEX           only those whose name matches

    all changes --> shard k of n: every n-th --> one after the other
        own     the unit tests of the layer that was changed: one fails, or hangs? caught
        hunt    short units of the lanes of `make safety`:    the same
        calls   the tests of the public calls:                the same
        units   all unit tests that use these layers:         the same
        else it has survived: the run fails

Cheap tests come first, and the first that fails ends them, so that most changes cost a build of one crate and some
seconds. cargo-mutants lists the changes; they are made here, since it would build all that any phase needs for each of
them. What may be changed, and what was looked at and can't be seen by any test, is in `.cargo/mutants.toml`. The work
is done in a copy of the tree in the target directory; `outcomes.txt` beside it gets a line for each change.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import functools
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "mutation"
TREE = TARGET / "tree"
OUTCOMES = TARGET / "outcomes.txt"
CARGO = os.environ.get("CARGO", "cargo")
ENVIRONMENT = os.environ | {"CARGO_TARGET_DIR": str(TARGET / "build")}

SHARDS = 250
# Tests that take so many times as long as without a change hang; in seconds, none is ended earlier than that.
HANGS = 6
SHORTEST = 60
# Tests that take more memory are ended, too.
MEMORY = 3 << 30

# What is built, and what of it is run. Documents and the trie do not lie on the layers that are changed.
UNIT = ["-p", "nyro", "--lib"]
SKIPPED = [word for name in ("document::", "hash::", "file::sim::") for word in ("--skip", name)]
PHASES = {
    "own": (UNIT, []),
    "hunt": (["-p", "nyro-safety", "--bin", "nyro-safety"], ["--ignored", "short_units_of_the_lanes_find_nothing"]),
    "calls": (["-p", "nyro", "--test", "engine"], []),
    "units": (UNIT, SKIPPED),
}
# That one takes as long as all the others of its layer.
OWN_SKIPPED = ["--skip", "file::sim::", "--skip", "the_tree_grows_by_levels"]


def tests_of(phase: str, layer: str) -> list[str]:
    return [f"{layer}::", "format_tests::", *OWN_SKIPPED] if phase == "own" else PHASES[phase][1]


def copy_of_the_tree() -> None:
    """A tree that may be changed. Only what differs is written, and so is newer than all that was built: Cargo would
    take what an interrupted run has built for the code as it is."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    wanted = {Path(name) for name in listed if name and (ROOT / name).is_file()}
    for path in [path for path in TREE.rglob("*") if path.is_file() and path.relative_to(TREE) not in wanted]:
        path.unlink()
    for name in wanted:
        content = (ROOT / name).read_bytes()
        if not (TREE / name).is_file() or (TREE / name).read_bytes() != content:
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            (TREE / name).write_bytes(content)


def changes() -> list[dict]:
    """What cargo-mutants would change; `name` says where and how."""
    command = [CARGO, "mutants", "--list", "--json", "--colors", "never"]
    listed = subprocess.run(command, cwd=TREE, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        sys.exit(f"test-mutants: cargo mutants --list failed:\n{listed.stderr}")
    # It does not ask these for fields that are left out.
    explained = tomllib.loads((TREE / ".cargo/mutants.toml").read_text())["exclude_re"]
    return [change for change in json.loads(listed.stdout) if not any(re.search(e, change["name"]) for e in explained)]


def build(phase: str) -> bool:
    """Builds the tests; false where that fails."""
    command = [CARGO, "test", "--profile", "mutants", *PHASES[phase][0], "--quiet", "--no-run"]
    return subprocess.run(command, cwd=TREE, env=ENVIRONMENT, capture_output=True, check=False).returncode == 0


def memory_of(group: int) -> int:
    """Bytes of memory of the processes of a group."""
    pages = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            pages += int(fields[21]) if int(fields[2]) == group else 0
    return pages * resource.getpagesize()


def test(phase: str, layer: str, seconds: float) -> str | None:
    """Runs tests until the first that fails: what came of it, or `None` if all passed."""
    command = [CARGO, "test", "--profile", "mutants", *PHASES[phase][0], "--quiet", "--", "--format=pretty"]
    child = subprocess.Popen(
        [*command, *tests_of(phase, layer)],
        cwd=TREE,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,
    )

    def end() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)

    wild: list[str] = []
    over = threading.Event()

    def watch() -> None:
        last = time.monotonic() + seconds
        while not over.wait(0.25):
            if time.monotonic() > last:
                wild.append("timeout")
            elif memory_of(child.pid) > MEMORY:
                wild.append("caught by its memory")
            else:
                continue
            return end()

    watcher = threading.Thread(target=watch)
    watcher.start()
    failed = None
    try:
        for line in child.stdout:
            if line.startswith("test ") and line.rstrip().endswith("FAILED"):
                failed = line.split()[1]
                end()
                break
        code = child.wait()
    finally:
        over.set()
        watcher.join()
        end()
    if failed:
        return f"caught by {failed}"
    return wild[0] if wild else None if code == 0 else "caught by the end of the process"


@functools.cache
def limit(phase: str, layer: str) -> float:
    """Runs these tests on the code as it is, which must pass, and says how long they may take with a change."""
    start = time.monotonic()
    if not build(phase):
        sys.exit(f"test-mutants: the code as it is can't be built for {phase}")
    built = time.monotonic()
    if how := test(phase, layer, 3600):
        sys.exit(f"test-mutants: the tests fail without a change: {how}")
    took = time.monotonic() - built
    print(f"test-mutants: unchanged, {phase} {layer}: {took:.0f} s, build {built - start:.0f} s", flush=True)
    return max(SHORTEST, HANGS * took)


def changed(text: str, change: dict) -> str:
    """The text of the file with the change in it."""
    lines = text.splitlines(keepends=True)

    def at(place: dict) -> int:
        return sum(len(line) for line in lines[: place["line"] - 1]) + place["column"] - 1

    start, end = at(change["span"]["start"]), at(change["span"]["end"])
    return text[:start] + change["replacement"] + text[end:]


def attack(change: dict) -> str:
    """All tests, the cheap ones first, on one change: what came of it."""
    file, layer = TREE / change["file"], change["file"].split("/")[2]
    text = file.read_text()
    for phase in PHASES:
        here = layer if phase == "own" else ""
        seconds = limit(phase, here)
        try:
            file.write_text(changed(text, change))
            if not build(phase):
                return "unviable"
            if how := test(phase, here, seconds):
                return f"{how} ({phase})"
        finally:
            file.write_text(text)
    return "survived"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--shard")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    # Whoever stops it stops the tests, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    start = time.monotonic()
    copy_of_the_tree()
    every = changes()
    wanted = [change for change in every if re.search(arguments.only, change["name"])]
    if arguments.shard:
        shard, of = (int(n) for n in arguments.shard.split("/"))
        chosen = wanted[shard % of :: of]
    else:
        of, first = SHARDS, random.randrange(SHARDS)
        chosen = [change for k in range(of) for change in wanted[(first + k) % of :: of]]
        print(f"test-mutants: from shard {first}/{of}")
    print(f"test-mutants: {len(every)} changes in all, {len(chosen)} to choose from", flush=True)
    counts: collections.Counter[str] = collections.Counter()
    survivors = []
    for change in chosen:
        if not arguments.shard and time.monotonic() - start > arguments.seconds:
            break
        begun = time.monotonic()
        how = attack(change)
        counts[how.split()[0].rstrip(":")] += 1
        survivors += [change["name"]] if how == "survived" else []
        line = f"{how}: {change['name']}"
        print(f"{line} [{time.monotonic() - begun:.0f} s]", flush=True)
        with OUTCOMES.open("a") as file:
            file.write(line + "\n")
    told = ", ".join(f"{n} {how}" for how, n in sorted(counts.items()))
    print(f"test-mutants: {counts.total()} changes in {time.monotonic() - start:.0f} s: {told}")
    for name in survivors:
        print(f"test-mutants: no test sees {name}")
    if survivors:
        print("test-mutants: failed; write a test for each, or explain it in .cargo/mutants.toml")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
