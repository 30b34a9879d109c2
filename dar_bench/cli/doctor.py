"""``dar-bench doctor``: what works on this machine, and whether evaluators reproduce published scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dar_bench.cli.help import examples
from dar_bench.errors import EXIT_CHECK_FAILED, UserError

if TYPE_CHECKING:
    from dar_bench.doctor.calibration import Calibration
    from dar_bench.doctor.findings import Check


@click.command(
    epilog=examples(
        "dar-bench doctor",
        "dar-bench doctor --require native,gpu",
        "dar-bench doctor --calibrate",
        "dar-bench doctor --calibrate --reference VIRTUAL_imagenet256_labeled.npz --samples samples.npz",
    )
)
@click.option(
    "--require",
    "required",
    multiple=True,
    metavar="NAME[,NAME]",
    help="Exit with 1 unless these work: evaluators, packages, weights, data, plugins, gpu.",
)
@click.option("--quick", is_flag=True, help="Try no import and no evaluator, but those required.")
@click.option("--device", default="auto", show_default=True, help="Where evaluators are tried.")
@click.option("--calibrate", is_flag=True, help="Score OpenAI's published sample batch again and compare.")
@click.option("--reference", help="Its reference batch.  [default: adm-imagenet256, fetched]")
@click.option("--samples", help="Its sample batch.  [default: fetched, about 10 GB]")
@click.option(
    "--expected",
    type=click.Path(path_type=Path),
    help="Published scores of another batch, as JSON.  [default: OpenAI's]",
)
@click.option("--evaluator", "evaluators", multiple=True, help="Who calibrates.  [default: adm and native]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(
    ctx: click.Context,
    required: tuple[str, ...],
    quick: bool,
    device: str,
    calibrate: bool,
    reference: str | None,
    samples: str | None,
    expected: Path | None,
    evaluators: tuple[str, ...],
    as_json: bool,
) -> None:
    """Say what works on this machine: device, packages, weights, data, plugins, evaluators.

    With --calibrate, score a published batch instead, and say how far each evaluator is from the published
    scores; exits with 1 where one is beyond its tolerance.
    """
    from dar_bench.devices import choose_device

    names = [name.strip() for one in required for name in one.split(",") if name.strip()]
    if calibrate:
        if names or quick:
            raise UserError("--require and --quick do not go with --calibrate.", hint="Run the two apart.")
        _calibrate(ctx, reference, samples, expected, evaluators, choose_device(device), as_json)
        return
    given = {
        "--reference": reference,
        "--samples": samples,
        "--expected": expected,
        "--evaluator": evaluators,
    }
    for option, value in given.items():
        if value:
            raise UserError(f"{option} goes with --calibrate only.")
    from dar_bench.console import console, note, print_json
    from dar_bench.doctor.examination import examine

    found = examine(
        names,
        quick=quick,
        device=choose_device(device),
        on_area=lambda area: note(f"Looking at {area} ..."),
    )
    if as_json:
        print_json(
            {
                "checks": [one.as_json() for one in found.checks],
                "required": names,
                "unmet": [one.name for one in found.unmet],
            }
        )
    else:
        _print_checks(found.checks)
        for one in found.unmet:
            console.print(f"Required, but does not work: {one.name}. {one.detail}")
    if found.unmet:
        ctx.exit(EXIT_CHECK_FAILED)


def _print_checks(checks: list[Check]) -> None:
    from dar_bench.console import console, print_table

    for area in dict.fromkeys(one.area for one in checks):
        rows = [
            (one.name, one.state, one.detail, "" if one.state == "ok" else one.remedy)
            for one in checks
            if one.area == area
        ]
        print_table((area, "state", "detail", "what to do"), rows, optional=("what to do",))
        console.print("")


def _calibrate(
    ctx: click.Context,
    reference: str | None,
    samples: str | None,
    expected: Path | None,
    evaluators: tuple[str, ...],
    device: str,
    as_json: bool,
) -> None:
    from dar_bench.console import print_json, progress
    from dar_bench.doctor import calibration

    wanted = calibration.PUBLISHED if expected is None else calibration.read_expected(expected)
    reference = reference or calibration.published_reference()
    samples = samples or calibration.published_samples()
    with progress("Reading images", None) as bar:
        found = calibration.calibrate(
            reference,
            samples,
            expected=wanted,
            evaluators=evaluators,
            device=device,
            on_images=bar.advance,
        )
    if as_json:
        print_json(
            {
                "ok": found.ok,
                "comparisons": [one.as_json() for one in found.comparisons],
                "missing": dict(found.missing),
            }
        )
    else:
        _print_calibration(found)
    if not found.ok:
        ctx.exit(EXIT_CHECK_FAILED)


def _print_calibration(found: Calibration) -> None:
    from dar_bench.console import console, print_table

    columns = ("evaluator", "score", "published", "found", "difference", "tolerance", "")
    rows = []
    for one in found.comparisons:
        measured = (
            ("", "") if one.found is None else (f"{one.found:.7f}", f"{one.found - one.expected.value:+.2g}")
        )
        verdict = "not scored" if one.found is None else "ok" if one.ok else "DIFFERS"
        rows.append(
            (
                one.evaluator,
                one.score,
                f"{one.expected.value:.7f}",
                *measured,
                f"{one.expected.tolerance:.2g}",
                verdict,
            )
        )
    print_table(columns, rows, right=columns[2:6])
    for name, reason in found.missing.items():
        console.print(f"{name}: left out. {reason}")
    for reason in dict.fromkeys(one.expected.reason for one in found.comparisons if one.expected.reason):
        scores = {one.score: None for one in found.comparisons if one.expected.reason == reason}
        console.print(f"Tolerance of {', '.join(scores)}: {reason}.")
