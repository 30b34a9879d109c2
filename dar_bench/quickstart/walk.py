"""The walk: seven steps from the shipped models to records and the commands to try next."""

from __future__ import annotations

import time
from typing import Any

from dar_bench.devices import load_options
from dar_bench.evaluators.names import load_evaluator
from dar_bench.loading import LoadedGenerator, load_generator
from dar_bench.output_folders import check_folder
from dar_bench.quickstart import steps
from dar_bench.quickstart.folder import LISTING, MADE_BY, QuickstartFolder
from dar_bench.quickstart.narration import Narration
from dar_bench.quickstart.plan import Plan
from dar_bench.results.record import Record
from dar_bench.score_tables import NOT_FID


def walk(plan: Plan, narration: Narration) -> dict[str, Any]:
    """Walk the whole road and return its summary as JSON values.

    Interrupted, everything finished stays in the folder, is on its list, and is named to the person.

    Raises:
        UserError: the folder holds other files, the disk is full, or weights or data are missing.
    """
    started = time.perf_counter()
    check_folder(plan.out, LISTING, MADE_BY, overwrite=True)
    generator = load_generator(plan.generator, load_options(plan.device))
    folder = QuickstartFolder(plan.out)
    try:
        records = _measure(plan, generator, folder, narration)
    except KeyboardInterrupt:
        kept = ", ".join(str(path.relative_to(plan.out)) for path, _ in folder.files) or "nothing yet"
        narration.say(f"Stopped in {narration.step_name}. Finished in {plan.out}: {kept}.")
        raise
    folder.finish()
    with narration.step("What to look at, and what to try next", f"Everything is in {plan.out}."):
        narration.table(("file", "what it shows"), [(str(path), meaning) for path, meaning in folder.files])
        for command in next_commands(plan):
            narration.say(f"  {command}")
    seconds = time.perf_counter() - started
    narration.say(f"The whole road took {seconds:.0f} s.")
    return {
        "folder": str(plan.out),
        "seconds": round(seconds, 1),
        "generator": plan.generator.name,
        "tokenizer": plan.tokenizer.name,
        "seed": plan.seed,
        "files": [{"path": str(path), "shows": meaning} for path, meaning in folder.files],
        "list": str(plan.out / LISTING),
        "records": [_summary(name, record) for name, record in records],
    }


def next_commands(plan: Plan) -> list[str]:
    """Return commands that go on from here."""
    name = plan.generator.name
    return [
        f"dar-bench sample {name} --labels 0,1,2 --count 8 --cfg linear:1.0-4.0 --grid mine.png",
        f"dar-bench reconstruct {plan.tokenizer.name} YOUR_IMAGE.jpg --grid yours.png",
        f"dar-bench eval gfid --model {name} --cfg 1.5 --samples 2000",
        f"dar-bench results list --folder {plan.out / 'results'}",
        "dar-bench models",
        "dar-bench train tokenizer --help",
    ]


def _measure(
    plan: Plan, generator: LoadedGenerator, folder: QuickstartFolder, narration: Narration
) -> list[tuple[str, Record]]:
    tokenizer = generator.tokenizer
    if tokenizer is None:
        raise ValueError(f"{plan.generator.name} has no tokenizer, which the plan excludes")
    with narration.step("What is installed", "The models and images that ship with the installed plugins."):
        steps.show_installed(plan, generator, narration)
    with narration.step(
        "Reconstruct held-out images",
        f"{plan.tokenizer.name} turns each image into {plan.tokenizer.tokens} codes and paints it from them.",
    ):
        steps.show_reconstructions(plan, tokenizer, folder, narration)
    with narration.step(
        "Generate images of every class",
        f"{plan.generator.name} writes the codes one by one; after each of {plan.tokenizer.groups} groups "
        "the image so far is shown.",
    ):
        steps.show_generation(plan, generator, folder, narration)
    evaluator = load_evaluator("embedded", generator.options.device)
    with narration.step(
        "Score the reconstructions",
        f"Pixel scores, and a distance on the features of {evaluator.extractor.name}. {NOT_FID}",
    ):
        records = [
            ("reconstruction", steps.score_reconstructions(plan, tokenizer, evaluator, folder, narration))
        ]
    with narration.step(
        "Compare guidance schedules",
        f"{plan.samples} images with each of {', '.join(plan.schedules)} against {plan.reference}. "
        "So few samples raise every FD; KD is free of that.",
    ):
        records += steps.compare_schedules(plan, generator, evaluator, folder, narration)
    with narration.step(
        "Keep the records", "One JSON file per measurement, named by its content, with all that explains it."
    ):
        for path, meaning in folder.files:
            if path.suffix == ".json":
                narration.say(f"{path}  {meaning}")
    return records


def _summary(name: str, record: Record) -> dict[str, Any]:
    return {
        "name": name,
        "kind": record.kind,
        "samples": record.samples,
        "images_per_second": record.cost.images_per_second,
        "scores": [score.model_dump(mode="json") for score in record.scores],
        "unavailable": dict(record.unavailable),
    }
