"""``dar-bench sweep``: many measurements that share their work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from dar_bench.cli.groups import SuggestingGroup
from dar_bench.cli.help import examples
from dar_bench.cli.measurements import protocol_options, writable
from dar_bench.cli.model_options import loading_options
from dar_bench.errors import UserError

if TYPE_CHECKING:
    from dar_bench.sweeps.specification import SweepSpec

F = TypeVar("F", bound=Callable[..., Any])


class _SweepGroup(SuggestingGroup):
    """Takes the path of a sweep file in place of a command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names, or the file's."""
        if args[0] not in self.commands and (args[0].endswith(".toml") or Path(args[0]).is_file()):
            return "file", self.commands["file"], args
        return super().resolve_command(ctx, args)


@click.group(
    name="sweep",
    cls=_SweepGroup,
    epilog=examples(
        "dar-bench sweep cfg --model dar-tiny --values none,1.5,linear:1.0-4.0 --samples 500",
        "dar-bench sweep tokens --model dar-tiny --plan",
        "dar-bench sweep my-sweep.toml",
    ),
)
def sweep() -> None:
    """Measure many settings that share their work.

    Codes, features and reference are made once and kept, so a sweep that was stopped goes on where it was when the
    same command is given again. Instead of a command, the path of a TOML file may stand.
    """


def _run_options(command: F) -> F:
    options = (
        click.option(
            "--plan", "plan_only", is_flag=True, help="Show the work, what of it is cached, and stop."
        ),
        click.option(
            "--strict",
            is_flag=True,
            help="Stop at samples in which the lint finds what would move scores (exit status 1).",
        ),
        click.option(
            "--ray", metavar="ADDRESS", help="Do the work on a Ray cluster ('local' starts one here)."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _generation_options(command: F) -> F:
    options = (
        click.option(
            "--samples",
            type=click.IntRange(min=1),
            default=1000,
            show_default=True,
            help="Images to generate.",
        ),
        click.option("--reference", help="Data to compare with.  [default: the model's own]"),
        click.option(
            "--reference-limit", type=click.IntRange(min=1), help="Take so many of its images, spread evenly."
        ),
        click.option(
            "--labels",
            type=click.Choice(["balanced", "uniform", "reference"]),
            help="Which classes.  [default: as often as in the reference, where it has labels]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


_option = click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="The same in every row: any option of the model; may be repeated.",
)


@sweep.command(
    epilog=examples(
        "dar-bench sweep cfg --model dar-l --values none,1.5,1.75,linear:1.1-8.0 --samples 50000",
        "dar-bench sweep cfg --model dar-tiny --values none,2.0 --option temperature=0.9 --json",
    )
)
@click.option("--model", required=True, help="Name in the zoo, or export folder of a training run.")
@click.option("--values", required=True, help="Guidance schedules, separated by commas.")
@_generation_options
@_option
@_run_options
@loading_options
@protocol_options
def cfg(model: str, values: str, **given: Any) -> None:
    """Sweep over guidance (the paper's Table 4)."""
    from dar_bench.sweeps.specification import split_values

    _generate(model, {"cfg": split_values(values, "--values")}, given)


@sweep.command(
    epilog=examples(
        "dar-bench sweep tokens --model dar-l --option cfg=linear:1.1-8.0 --samples 50000",
        "dar-bench sweep tokens --model dar-tiny --values 16,32,64 --samples 500",
    )
)
@click.option("--model", required=True, help="Name in the zoo, or export folder of a training run.")
@click.option("--values", help="Counts of tokens, separated by commas.  [default: all quarters]")
@_generation_options
@_option
@_run_options
@loading_options
@protocol_options
def tokens(model: str, values: str | None, **given: Any) -> None:
    """Sweep over the number of tokens that images are decoded from (the paper's Table 5)."""
    from dar_bench.sweeps.kinds import quarters
    from dar_bench.sweeps.specification import split_values

    counts = split_values(values, "--values") if values else quarters(model)
    _generate(model, {"tokens": counts}, given)


@sweep.command(
    epilog=examples(
        "dar-bench sweep solver --tokenizer dar-tokenizer --steps 4,8,12,16 --solvers euler,adams2,ab2",
        "dar-bench sweep solver --model dar-tiny --steps 2,4 --solvers euler,adams2 --samples 500",
    )
)
@click.option("--tokenizer", help="Measure reconstructions of this tokenizer.")
@click.option("--model", help="Or measure images of this generator, from tokens that are made once.")
@click.option("--steps", required=True, help="Counts of diffusion steps, separated by commas.")
@click.option("--solvers", help="Solvers, separated by commas.  [default: the model's]")
@click.option("--data", help="Images that --tokenizer reconstructs.  [default: the shipped held-out split]")
@click.option(
    "--limit", type=click.IntRange(min=1), help="Take so many of them, spread evenly; --samples is the same."
)
@_generation_options
@_option
@_run_options
@loading_options
@protocol_options
@click.pass_context
def solver(
    ctx: click.Context,
    /,
    tokenizer: str | None,
    model: str | None,
    steps: str,
    solvers: str | None,
    data: str | None,
    limit: int | None,
    **given: Any,
) -> None:
    """Sweep over solvers and steps of the diffusion (the paper's Table 2)."""
    from dar_bench.sweeps.kinds import one_of
    from dar_bench.sweeps.specification import split_values

    name = one_of(tokenizer, model)
    axes = {"steps": split_values(steps, "--steps")}
    if solvers:
        axes = {"solver": split_values(solvers, "--solvers"), **axes}
    if model is not None:
        _refuse_given(ctx, ("data", "limit"), "--model", "--reference and --samples say what is compared")
        _generate(name, axes, given)
        return
    generation = ("reference", "reference_limit", "labels")
    _refuse_given(ctx, generation, "--tokenizer", "--data and --limit say what is reconstructed")
    if _is_given(ctx, "samples"):
        if limit is not None:
            raise UserError("--limit and --samples say the same of a tokenizer.", hint="Give one of them.")
        limit = given["samples"]
    _generate(
        name, axes, {**given, "samples": limit, "reference": data, "reference_limit": None, "labels": None}
    )


def _refuse_given(ctx: click.Context, parameters: Sequence[str], kind: str, instead: str) -> None:
    """Refuse options that have no effect on a sweep of this kind."""
    for name in parameters:
        if _is_given(ctx, name):
            flag = "--" + name.replace("_", "-")
            raise UserError(f"{flag} has no effect with {kind}.", hint=f"Leave it out: {instead}.")


def _is_given(ctx: click.Context, parameter: str) -> bool:
    return ctx.get_parameter_source(parameter) is not ParameterSource.DEFAULT


@sweep.command(
    "file",
    hidden=True,
    epilog=examples(
        "dar-bench sweep my-sweep.toml --plan", "dar-bench sweep ablation.toml --out runs/ablation"
    ),
)
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder of the trainings, for a file with [[train]].",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option("--dtype", default="float32", show_default=True, help="float32 or bfloat16.")
@click.option("--compile", "compiled", is_flag=True, help="Compile the networks' steps.")
@click.option(
    "--force-reference", is_flag=True, help="Measure against data that are not meant for it; records say so."
)
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    callback=writable,
    help="Folder that the records are written to.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_run_options
def from_file(path: Path, out: Path, device: str, dtype: str, compiled: bool, **given: Any) -> None:
    """Run the sweep that a TOML file describes."""
    from dar_bench.devices import load_options
    from dar_bench.runs.processes import launched
    from dar_bench.sweeps.sweep_file import read_sweep_file

    loading = load_options(launched().device(device), dtype, compiled)
    found = read_sweep_file(path, loading)
    if found.training is not None:
        from dar_bench.cli.sweep_output import run_training

        run_training(found.training, out, **given)
        return
    _run(list(found.specs), given)


def _generate(model: str, axes: Mapping[str, tuple[str, ...]], given: Mapping[str, Any]) -> None:
    """Build the specification of a command's options and run it."""
    from dar_bench.devices import load_options
    from dar_bench.evaluators.names import named_evaluators
    from dar_bench.runs.processes import launched
    from dar_bench.sweeps.kinds import option_texts
    from dar_bench.sweeps.specification import SweepSpec, grid

    loading = load_options(launched().device(given["device"]), given["dtype"], given["compiled"])
    spec = SweepSpec(
        model=model,
        rows=grid(axes, option_texts(given["options"])),
        swept=tuple(axes),
        evaluators=named_evaluators(given["evaluators"]),
        samples=given["samples"],
        seed=given["seed"],
        labels=given["labels"],
        reference=given["reference"],
        reference_limit=given["reference_limit"],
        weights=str(given["weights"] or ""),
        batch_size=given["batch_size"],
        loading=loading,
    )
    _run([spec], given)


def _run(specs: list[SweepSpec], given: Mapping[str, Any]) -> None:
    from dar_bench.cli.sweep_output import run, show_plan

    if given["plan_only"]:
        show_plan(specs, given["as_json"], force_reference=given["force_reference"])
        return
    run(
        specs,
        results=given["results"],
        force_reference=given["force_reference"],
        strict=given["strict"],
        ray=given["ray"],
        as_json=given["as_json"],
    )
