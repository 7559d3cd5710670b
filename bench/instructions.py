#!/usr/bin/env python3
"""Counts the instructions of fixed work under callgrind, and compares them with those recorded before.

    instructions.py PROGRAM                    fails if a count has grown by more than 3 %
    instructions.py PROGRAM --accept REASON    records the counts of now, with the reason

Counts do not depend on what else the machine does, but on the compiler, the C library and the processor: only those
recorded for the same three are compared with. Where there are none, the counts are printed, and that is all. The
smallest of three runs counts: the hash of each new database has a key of its own. Records: `instructions.jsonl`
beside this file, the last line of each kind being the one that holds.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

WORK = {
    "get": 20_000,
    "put": 10_000,
    "commit": 10_000,
    "scan": 5,
    "key_get": 20_000,
    "key_put": 10_000,
    "key_walk": 4_000,
}
ALLOWED = 1.03
RECORDS = Path(__file__).with_name("instructions.jsonl")


def combination() -> dict[str, str]:
    """What the counts depend on."""
    rustc = subprocess.run([os.environ.get("RUSTC", "rustc"), "--version"], check=True, capture_output=True, text=True)
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "compiler": " ".join(rustc.stdout.split()[:2]),
        "libc": " ".join(platform.libc_ver()),
        "processor": cpu.group(1) if cpu else platform.machine(),
    }


def count(program: str, work: str, times: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*counted*"]
    run = subprocess.run([*command, program, work, str(times)], check=True, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if not found or int(found.group(1)) == 0:
        raise SystemExit(f"instructions: valgrind counted nothing of {work}:\n{run.stderr}")
    return int(found.group(1))


def main() -> None:
    program, *rest = sys.argv[1:]
    if shutil.which("valgrind") is None:
        print("instructions: not counted, valgrind is not installed here")
        return
    here = combination()
    recorded: dict[str, int] = {}
    for line in RECORDS.read_text().splitlines() if RECORDS.exists() else []:
        record = json.loads(line)
        if all(record[name] == value for name, value in here.items()):
            recorded[record["work"]] = record["instructions"]
    grown = []
    lines = []
    for work, times in WORK.items():
        now = min(count(program, work, times) for _ in range(3))
        before = recorded.get(work)
        told = "nothing recorded for this compiler, C library and processor"
        if before is not None:
            told = f"{(now / before - 1) * 100:+.1f} % of {before}"
            if now > before * ALLOWED:
                grown.append(work)
        print(f"instructions: {work:<8} {now:>10}  {told}")
        lines.append({**here, "work": work, "instructions": now})
    if rest[:1] == ["--accept"]:
        reason = " ".join(rest[1:])
        if not reason:
            raise SystemExit("instructions: --accept needs a reason")
        date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        with RECORDS.open("a") as records:
            for line in lines:
                records.write(json.dumps({**line, "date": date, "reason": reason}) + "\n")
        return
    if grown:
        raise SystemExit(
            f"instructions: {', '.join(grown)} grew by more than 3 %. If that has to be:"
            " make accept-instructions REASON='why'"
        )


if __name__ == "__main__":
    main()
