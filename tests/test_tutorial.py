"""The tutorial's commands, read off its text and run in an environment of their own."""

from __future__ import annotations

import os
import re
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(bash|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A virtual environment that sees what is installed here; what is installed into it stays in it."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False)
    purelib = next(folder.glob("lib/python*/site-packages"))
    seen = [path for path in site.getsitepackages() if Path(path).is_dir()]
    (purelib / "seen.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in seen))
    script = folder / "bin" / "dar-bench"
    script.write_text('#!/bin/sh\nexec python -m dar_bench "$@"\n')
    script.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(folder),
        "OMP_NUM_THREADS": "1",
        "DAR_BENCH_OFFLINE": "1",
        # What the text leaves to the package index is here already: nothing is fetched.
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


@pytest.mark.timeout(1200)  # a dozen commands, each a process of its own
def test_the_commands_do_what_the_text_says(environment: dict[str, str], tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    shown = ""
    blocks = BLOCK.findall(TUTORIAL.read_text())
    assert [kind for kind, _ in blocks].count("bash") >= 7
    for kind, text in blocks:
        if kind == "text":
            for line in text.splitlines():
                assert " ".join(line.split()) in shown, f"'{line}' is not in:\n{shown}"
            continue
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert ran.returncode == 0, f"{text}\n{ran.stdout}\n{ran.stderr}"
        shown = "\n".join(" ".join(line.split()) for line in (ran.stdout + ran.stderr).splitlines())


def test_the_environment_is_its_own(environment: dict[str, str], tmp_path: Path) -> None:
    program = "import sys, dar_bench; print(sys.prefix)"
    ran = subprocess.run(
        ["python", "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == environment["VIRTUAL_ENV"] != sys.prefix
