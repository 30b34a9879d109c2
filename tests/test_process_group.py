"""How a member of a process group ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import atexit, sys
from dar_bench import process_group

class Lingering:
    def __del__(self):
        print("teardown")

atexit.register(print, "exit handler")
lingering = Lingering()
if {joined}:
    process_group.joined()
sys.stdout.write("written ")
process_group.finish({status})
"""


@pytest.mark.parametrize("status", [0, 3])
@pytest.mark.parametrize("joined", [True, False])
def test_a_member_skips_the_teardown_and_nothing_else(joined: bool, status: int) -> None:
    script = SCRIPT.format(joined=joined, status=status)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert done.stdout == "written exit handler\n" + ("" if joined else "teardown\n")
    assert done.stderr == ""
