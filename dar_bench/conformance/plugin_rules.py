"""Rules of the plugin object: it is light, everything it names exists, and no name is taken."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

from dar_bench.api import AutoencoderCard
from dar_bench.conformance.rules import DoesNotApply, demand, rule
from dar_bench.conformance.subjects import DatasetSubject, PluginSubject
from dar_bench.data.opening import open_source
from dar_bench.errors import UserError
from dar_bench.plugins import load_object, registry

HEAVY = ("torch", "tensorflow", "jax", "numpy", "scipy", "pandas", "PIL", "timm", "diffusers", "transformers")
"""What a plugin object must not import: `dar-bench models` and `--help` answer at once."""

NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")


@rule("light-import", "plugin")
def light_import(subject: PluginSubject) -> str:
    """Importing the plugin object loads no framework."""
    program = (
        "import json, sys; sys.path[:] = json.loads(sys.argv[2])\n"
        "from dar_bench.plugins import load_object; load_object(sys.argv[1])\n"
        f"print('imported', *sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, subject.target, json.dumps(sys.path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    demand(
        ran.returncode == 0, f"importing {subject.target} fails in a fresh interpreter: {ran.stderr[-300:]}"
    )
    heavy = ran.stdout.splitlines()[-1].split()[1:]
    demand(not heavy, f"importing {subject.target} loads {', '.join(heavy)}")
    return f"{subject.target} loads none of {', '.join(HEAVY[:3])}, ..."


@rule("targets", "plugin")
def targets(subject: PluginSubject) -> str:
    """Every ``module:attribute`` that the plugin names can be loaded and called."""
    named = list(_targets(subject))
    demand(bool(named), "the plugin offers nothing: no card, command, data set or component")
    for where, target in named:
        try:
            found = load_object(target)
        except UserError as error:
            demand(False, f"{where}: {error}")
        demand(callable(found), f"{where}: '{target}' cannot be called")
    return f"{len(named)} names load"


def _targets(subject: PluginSubject) -> Iterator[tuple[str, str]]:
    plugin = subject.plugin
    for card in plugin.cards:
        yield f"load of {card.name}", card.load
        for field in ("count_parameters", "layout"):
            if getattr(card, field):
                yield f"{field} of {card.name}", getattr(card, field)
        if card.weights.convert:
            yield f"weights.convert of {card.name}", card.weights.convert
    for command in plugin.commands:
        yield f"command {command.group} {command.name}", command.target
    for kind in ("extractors", "solvers", "schedules", "evaluators"):
        for name, target in getattr(plugin, kind).items():
            yield f"{kind} {name}", target
    if plugin.open_folder:
        yield "open_folder", plugin.open_folder


@rule("names", "plugin")
def names(subject: PluginSubject) -> str:
    """Names are lower case with dashes, and no other plugin has them."""
    own = [name for card in subject.plugin.cards for name in (card.name, *card.aliases)]
    for name in own:
        demand(
            NAME.fullmatch(name) is not None,
            f"'{name}' is no name for a model: lower-case letters, digits, dashes and dots",
        )
    for sentence in registry().conflicts():
        claimed = any(f"'{name}'" in sentence for name in _all_names(subject))
        demand(not claimed, sentence)
    return f"{len(own)} model names, each claimed once"


def _all_names(subject: PluginSubject) -> list[str]:
    plugin = subject.plugin
    models = [name for card in plugin.cards for name in (card.name, *card.aliases)]
    return [
        *models,
        *(command.name for command in plugin.commands),
        *(dataset.name for dataset in plugin.datasets),
        *(
            name
            for kind in ("extractors", "solvers", "schedules", "evaluators")
            for name in getattr(plugin, kind)
        ),
    ]


@rule("small-member", "plugin")
def small_member(subject: PluginSubject) -> str:
    """The plugin has a member of every kind that is small enough to be run by these checks."""
    kinds: dict[str, list[str]] = {}
    for card in subject.plugin.cards:
        if isinstance(card, AutoencoderCard):
            continue  # run where its weights are here: a tiny one would have no use beside it
        kinds.setdefault(type(card).__name__, [])
        why = subject.bench.why_not_run(card)
        if not why:
            kinds[type(card).__name__].append(card.name)
    if not kinds:
        raise DoesNotApply("the plugin has no models that are run")
    for kind, members in kinds.items():
        demand(
            bool(members),
            f"no {kind} of this plugin can be run here: ship weights of a tiny one, or let it be small enough "
            "for random ones",
        )
    return ", ".join(f"{kind}: {' '.join(members)}" for kind, members in kinds.items())


@rule("data-set", "dataset")
def data_set(subject: DatasetSubject) -> str:
    """A data set that ships opens, has labels within its classes, and says its licence."""
    dataset = subject.dataset
    demand(bool(dataset.summary), "the summary is empty")
    demand(bool(dataset.license), "the licence is empty: copies must be able to say it")
    demand(bool(dataset.splits), "there is no split")
    counts = []
    for split in dataset.splits:
        source = open_source(f"{dataset.name}:{split}")
        demand(len(source) > 0, f"the split {split} is empty")
        source[0]
        labels = source.labels()
        low, high, named = int(labels.min()), int(labels.max()), len(dataset.class_names)
        fits = not named or high < named
        demand(fits, f"labels of {split} run from {low} to {high}; there are {named} class names")
        counts.append(f"{split} {len(source)} images")
    return ", ".join(counts)
