"""``dar-bench``: the commands, and how every error leaves the process.

Nothing here imports a framework, or a command before it runs.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from dar_bench import __version__, process_group
from dar_bench.cli.groups import LazyGroup, PluginGroup
from dar_bench.cli.help import examples
from dar_bench.errors import EXIT_INTERRUPTED, EXIT_USAGE, UserError

TRACEBACK_VARIABLE = "DAR_BENCH_TRACEBACK"
EXIT_INTERNAL = 70  # EX_SOFTWARE of sysexits.h: the fault is ours, not the user's
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE, what a shell reports for a reader that went away

_COMMANDS = {
    "quickstart": (
        "dar_bench.cli.quickstart:quickstart",
        "Walk the whole road on shipped tiny models, offline, in minutes.",
    ),
    "models": ("dar_bench.cli.models:models", "Show the zoo, or the card of one model."),
    "plugins": ("dar_bench.cli.plugins:plugins", "Show the installed plugins."),
    "train": ("dar_bench.cli.main:train", "Train a tokenizer or a generator from scratch."),
    "tokenize": ("dar_bench.cli.tokenize:tokenize", "Cache the codes of a data set."),
    "sample": ("dar_bench.cli.sample:sample", "Generate images, grids and streamed previews."),
    "reconstruct": ("dar_bench.cli.reconstruct:reconstruct", "Encode and decode images with a tokenizer."),
    "eval": ("dar_bench.cli.eval:eval_group", "Measure reconstruction or generation."),
    "sweep": ("dar_bench.cli.sweep:sweep", "Measure many settings that share their work."),
    "cache": ("dar_bench.cli.cache:cache", "Show or clear what earlier work left on this machine."),
    "lint": ("dar_bench.cli.lint:lint", "Look over a sample set for what would move its scores."),
    "stats": ("dar_bench.cli.stats:stats", "List, fetch and build reference statistics."),
    "results": ("dar_bench.cli.results:results", "List, show and compare result records."),
    "check": ("dar_bench.cli.check:check", "Measure again and fail where a number moved."),
    "report": ("dar_bench.cli.report:report", "Write the records as one self-contained HTML page."),
    "doctor": ("dar_bench.cli.doctor:doctor", "Say what works on this machine; calibrate evaluators."),
    "weights": ("dar_bench.cli.weights:weights", "Fetch, import and verify model weights."),
}


@click.group(
    cls=LazyGroup,
    lazy=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples("dar-bench quickstart", "dar-bench models", "dar-bench sample dar-tiny --labels 0,1,2"),
)
@click.version_option(__version__, prog_name="dar-bench")
def cli() -> None:
    """Train, sample and evaluate D-AR and its peers."""


@click.group(name="train", cls=PluginGroup, epilog=examples("dar-bench train tokenizer --help"))
def train() -> None:
    """Train a model from scratch. The commands come from the installed plugins."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 fine, 1 a check failed, 2 wrong use, 70 our fault, 130 interrupted."""
    _take_termination_as_ctrl_c()
    try:
        code = _run_to_status(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes standard output once more on exit; give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_BROKEN_PIPE
    process_group.finish(code)


def _take_termination_as_ctrl_c() -> None:
    """Let SIGTERM (``kill``, a batch system, a container's end) stop a command as Ctrl-C does, temporary files removed.

    Not in a launcher's process: it ends its processes by SIGTERM when one of them has failed, and one that waits
    in a collective operation would not come to Python to hear of it.
    """
    if "WORLD_SIZE" not in os.environ:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _run_to_status(arguments: Sequence[str] | None) -> int:
    try:
        return run(arguments)
    except SystemExit as exit:  # how processes other than the first end quietly
        if exit.code is None or isinstance(exit.code, int):
            return exit.code or 0
        raise


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status; every error is reported on standard error."""
    try:
        result = cli.main(
            args=None if arguments is None else list(arguments), prog_name="dar-bench", standalone_mode=False
        )
        # The status of an explicit ctx.exit(status); otherwise what the command returned, which is None.
        return result if isinstance(result, int) else 0
    except UserError as error:
        report(error)
        return error.exit_code
    except click.UsageError as error:
        error.show()
        return EXIT_USAGE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted. What was finished is kept; nothing is half-written.", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        return _report_unexpected(error)


def report(error: UserError) -> None:
    """Print an error on standard error: what happened, then why and what to do, one line each."""
    click.echo(f"Error: {error.what}", err=True)
    for line in (error.why, error.hint):
        if line:
            click.echo(f"  {line}", err=True)


def _report_unexpected(error: Exception) -> int:
    if os.environ.get(TRACEBACK_VARIABLE) == "1":
        import traceback

        traceback.print_exception(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        report(
            UserError(
                f"No space left on the disk{f' of {error.filename!r}' if error.filename else ''}.",
                why="What was finished is kept; nothing is half-written.",
                hint="Free some space or choose another folder, then run the same command again.",
            )
        )
        return EXIT_USAGE
    if type(error).__name__ in ("MemoryError", "OutOfMemoryError"):  # torch's is not imported for its name
        report(
            UserError(
                "Out of memory.",
                why=(str(error).strip().splitlines() or ["The machine has no more."])[0],
                hint="Use a smaller --batch-size; in training, --set train.micro_batch=N.",
            )
        )
        return EXIT_USAGE
    first_line = (str(error).strip().splitlines() or ["no message"])[0]
    report(
        UserError(
            f"An internal error in dar-bench: {type(error).__name__}: {first_line}",
            why="This is a defect of dar-bench or of a plugin, not of your command.",
            hint=f"Run it again with {TRACEBACK_VARIABLE}=1 and report the traceback with the command.",
        )
    )
    return EXIT_INTERNAL
