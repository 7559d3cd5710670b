"""What the tests share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nyrodb


@pytest.fixture
def db(tmp_path: Path) -> Iterator[nyrodb.Database]:
    with nyrodb.open(tmp_path / "app.nyro", durability="manual") as db:
        yield db


@pytest.fixture
def users(db: nyrodb.Database) -> nyrodb.Collection:
    return db["users"]


def run_python(program: str, *arguments: object, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Runs a program in an interpreter of its own; it must end by itself and well."""
    command = [sys.executable, "-X", "faulthandler", "-W", "error", "-c", program, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert ended.returncode == 0, f"ended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}"
    return ended
