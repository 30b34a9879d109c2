"""How errors leave the process, and what every help page holds."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import torch

from dar_bench.cli import main as cli_main
from dar_bench.cli.groups import LazyGroup
from dar_bench.errors import UserError


def failing(error: BaseException) -> click.Command:
    @click.command()
    def command() -> None:
        raise error

    return command


def run_with(command: click.Command, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(cli_main, "cli", command)
    return cli_main.run([])


def test_a_users_error_is_what_why_and_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = UserError("The folder 'x' is empty.", why="It holds 0 images.", hint="Give another.")
    assert run_with(failing(error), monkeypatch) == 2
    assert capsys.readouterr() == (
        "",
        "Error: The folder 'x' is empty.\n  It holds 0 images.\n  Give another.\n",
    )


def test_a_failed_check_has_its_own_status(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_with(failing(UserError("Drifted.", exit_code=1)), monkeypatch) == 1


def test_an_interruption_says_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(failing(KeyboardInterrupt()), monkeypatch) == 130
    captured = capsys.readouterr()
    assert captured.err.strip() == "Interrupted. What was finished is kept; nothing is half-written."


def test_a_full_disk_is_clear_wherever_it_strikes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "/data/out.png")
    assert run_with(failing(error), monkeypatch) == 2
    assert capsys.readouterr().err.startswith(
        "Error: No space left on the disk of '/data/out.png'.\n  What was"
    )


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried\nmore"), MemoryError()])
def test_out_of_memory_says_what_to_do(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(failing(error), monkeypatch) == 2
    text = capsys.readouterr().err
    assert text.startswith("Error: Out of memory.\n") and "--batch-size" in text
    assert "defect" not in text


def test_our_own_fault_is_said_to_be_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(failing(RuntimeError("shapes differ\nat length")), monkeypatch) == 70
    text = capsys.readouterr().err
    assert text.startswith("Error: An internal error in dar-bench: RuntimeError: shapes differ\n")
    assert "DAR_BENCH_TRACEBACK=1" in text
    assert "Traceback" not in text
    monkeypatch.setenv("DAR_BENCH_TRACEBACK", "1")
    assert run_with(failing(RuntimeError("shapes differ")), monkeypatch) == 70
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_wrong_use_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli_main.run(["modles"]) == 2
    assert capsys.readouterr().err == (
        "Error: Unknown command 'modles'.\n  Did you mean 'models'?\n  See 'dar-bench --help'.\n"
    )
    assert cli_main.run(["weights", "fetsch"]) == 2
    assert "Did you mean 'fetch'?\n  See 'dar-bench weights --help'." in capsys.readouterr().err
    assert cli_main.run(["models", "--jsn"]) == 2
    assert "--json" in capsys.readouterr().err
    assert cli_main.run(["models", "no-such-model"]) == 2
    assert capsys.readouterr().err.startswith("Error: Unknown model 'no-such-model'.\n")


def test_a_reader_that_goes_away_is_no_error() -> None:
    program = (
        "import click, sys\n"
        "from dar_bench.cli import main as m\n"
        "@click.command()\n"
        "def endless():\n"
        "    while True: click.echo('x' * 1000)\n"
        "m.cli = endless\n"
        "m.main([])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "x" * 1000 + "\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=30) in (1, 141)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    program = (
        "import click, time\n"
        "from dar_bench.cli import main as m\n"
        "from dar_bench.files import atomic_path\n"
        "@click.command()\n"
        "def slow():\n"
        f"    with atomic_path({str(target)!r}) as path:\n"
        "        path.write_text('half of it')\n"
        "        click.echo('working')\n"
        "        time.sleep(60)\n"
        "m.cli = slow\n"
        "m.main([])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.strip().startswith("Interrupted.")
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_a_launchers_processes_end_by_its_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun ends the others by SIGTERM when one has failed; they may wait where no handler is reached."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(cli_main, "cli", failing(UserError("no")))
    with pytest.raises(SystemExit):
        cli_main.main([])
    assert signal.getsignal(signal.SIGTERM) is before


def every_command(
    command: click.Command = cli_main.cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            if not child.hidden:  # 'sweep FILE' is reached by the file, and its page is that of the group
                yield from every_command(child, (*path, name))


def test_every_help_page_has_an_example_that_names_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    paths = list(every_command())
    assert ("weights", "fetch") in paths
    for path in paths:
        assert cli_main.run([*path, "--help"]) == 0
        page = capsys.readouterr().out
        assert "Example" in page, path
        assert " ".join(("  dar-bench", *path)) in page.split("Example", 1)[1], path


def test_one_line_helps_fit_their_commands() -> None:
    assert isinstance(cli_main.cli, LazyGroup)
    for name, (_, text) in cli_main.cli.targets().items():
        assert text.endswith("."), name
        assert len(text) <= 80, name


def test_help_answers_in_under_400_ms() -> None:
    times = []
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for _ in range(10):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "dar_bench", "--help"], env=environment, capture_output=True, check=True
        )
        times.append(time.perf_counter() - started)
    assert min(times) < 0.4, times
