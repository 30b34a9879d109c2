"""Discovery of plugins, and everything that is found through them.

One entry-point group is read with ``importlib.metadata``. A plugin that cannot be imported is kept with its
error and harms nothing else; a name that two plugins claim is an error for whoever uses that name, and for
nobody else.
"""

from __future__ import annotations

import functools
import importlib
import importlib.resources
import json
import traceback as tracebacks
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from dar_bench.api import ENTRY_POINT_GROUP, Card, CommandSpec, DatasetSpec, LoadOptions, Plugin
from dar_bench.errors import UserError, unknown_name

if TYPE_CHECKING:
    from dar_bench.api import Autoencoder, Generator, Tokenizer

T = TypeVar("T")
ComponentKind = Literal["extractors", "solvers", "schedules", "evaluators"]
"""Kinds of pluggable parts; the names of the fields of `Plugin`."""

MODEL_DESCRIPTION = "model.json"
"""In a model folder: says which plugin's training wrote it; the rest is that plugin's business."""

# Which extra of dar-bench brings a module that is not always installed.
_EXTRA_OF_MODULE = {
    "accelerate": "train",
    "tensorboard": "train",
    "lpips": "lpips",
    "tensorflow": "adm",
    "torch_fidelity": "torch-fidelity",
    "cleanfid": "clean-fid",
}


@dataclass(frozen=True, kw_only=True)
class PluginStatus:
    """One entry point, and what came of it.

    Attributes:
        name: the entry point's name.
        distribution, version: the installed distribution that declares it.
        plugin: the plugin object, or ``None`` where it could not be had.
        error: one line that says why there is none, else ``""``.
        traceback: the whole traceback of that error, for the plugin's author.
        target: ``"module:attribute"`` of the entry point.
    """

    name: str
    distribution: str
    version: str
    plugin: Plugin | None
    error: str = ""
    traceback: str = ""
    target: str = ""


class _Names(Generic[T]):
    """Names claimed by plugins. A name with two claims stays known, and says so when it is asked for."""

    def __init__(self, kind: str):
        self._kind = kind
        self._claims: dict[str, list[tuple[T, str]]] = {}

    def claim(self, name: str, value: T, distribution: str) -> None:
        self._claims.setdefault(name, []).append((value, distribution))

    def __contains__(self, name: str) -> bool:
        return name in self._claims

    def get(self, name: str, *, hint: str = "") -> T:
        claims = self._claims.get(name)
        if claims is None:
            raise unknown_name(self._kind, name, self._claims, hint=hint)
        if len(claims) > 1:
            raise UserError(self.conflict(name), hint="Uninstall one of them, or rename one.")
        return claims[0][0]

    def conflict(self, name: str) -> str:
        owners = [distribution for _, distribution in self._claims[name]]
        if len(set(owners)) == 1:
            return f"The {self._kind} '{name}' is claimed {len(owners)} times by {owners[0]}."
        return f"The {self._kind} '{name}' is claimed by {' and by '.join(dict.fromkeys(owners))}."

    def conflicts(self) -> list[str]:
        return [self.conflict(name) for name, claims in self._claims.items() if len(claims) > 1]

    def single(self) -> dict[str, T]:
        return {name: claims[0][0] for name, claims in self._claims.items() if len(claims) == 1}


class Registry:
    """All that the installed plugins offer, by name.

    Args:
        plugins: the entry points found, working or not.
    """

    def __init__(self, plugins: Iterable[PluginStatus]):
        self.plugins = sorted(plugins, key=lambda status: (status.name, status.distribution))
        self._cards: _Names[Card] = _Names("model")
        self._datasets: _Names[DatasetSpec] = _Names("data set")
        self._commands: dict[str, _Names[CommandSpec]] = {}
        self._components: dict[ComponentKind, _Names[str]] = {
            "extractors": _Names("extractor"),
            "solvers": _Names("solver"),
            "schedules": _Names("schedule"),
            "evaluators": _Names("evaluator"),
        }
        for status in self.plugins:
            if status.plugin is not None:
                self._add(status.plugin, status.distribution)

    def _add(self, plugin: Plugin, distribution: str) -> None:
        for card in plugin.cards:
            for name in (card.name, *card.aliases):
                self._cards.claim(name, card, distribution)
        for dataset in plugin.datasets:
            self._datasets.claim(dataset.name, dataset, distribution)
        for command in plugin.commands:
            group = self._commands.setdefault(command.group, _Names(f"{command.group} command"))
            group.claim(command.name, command, distribution)
        for kind, names in self._components.items():
            targets: Mapping[str, str] = getattr(plugin, kind)
            for name, target in targets.items():
                names.claim(name, target, distribution)

    def cards(self) -> list[Card]:
        """Return the cards whose own name is unambiguous, in the order of their plugins; see `conflicts`."""
        return [card for name, card in self._cards.single().items() if name == card.name]

    def card(self, name: str) -> Card:
        """Return the card with this name or alias, or of the model folder that a training wrote.

        Raises:
            UserError: no plugin has it (the nearest name is suggested), two have it (both are named), or the
                folder holds no model.
        """
        if name not in self._cards and Path(name).is_dir():
            return self._open_folder(Path(name))
        if name not in self._cards and "/" in name and not Path(name).exists():
            raise UserError(
                f"There is no folder '{name}'.",
                why="A name with a slash is an export folder of a training run, for no model has one.",
                hint="Check the path, or see 'dar-bench models' for names.",
            )
        broken = [status.name for status in self.plugins if status.error]
        hint = "See 'dar-bench models'."
        if broken:
            hint = f"See 'dar-bench models'; these plugins did not load: {', '.join(broken)}."
        return self._cards.get(name, hint=hint)

    def _open_folder(self, folder: Path) -> Card:
        description = folder / MODEL_DESCRIPTION
        try:
            owner = json.loads(description.read_text(encoding="utf-8"))["plugin"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"The folder '{folder}' holds no model.",
                why=f"There is no readable {MODEL_DESCRIPTION} in it.",
                hint=f"Did you mean '{folder / 'export'}'?"
                if (folder / "export" / MODEL_DESCRIPTION).is_file()
                else "Give a model's name, or the export folder of a training run.",
            ) from error
        targets = {
            status.name: status.plugin.open_folder
            for status in self.plugins
            if status.plugin is not None and status.plugin.open_folder
        }
        if owner not in targets:
            raise unknown_name(
                "plugin", str(owner), targets, hint=f"{description} names it; install it first."
            )
        card: Card = load_object(targets[owner])(folder)
        return card

    def datasets(self) -> list[DatasetSpec]:
        """Return the data sets that ship with plugins."""
        return list(self._datasets.single().values())

    def dataset(self, name: str) -> DatasetSpec:
        """Return the data set with this name; `UserError` where none or two have it."""
        return self._datasets.get(name)

    def commands(self, group: str) -> list[CommandSpec]:
        """Return the commands that plugins mount in ``group`` (``train``), by name."""
        names = self._commands.get(group)
        return sorted(names.single().values(), key=lambda command: command.name) if names else []

    def command(self, group: str, name: str) -> CommandSpec:
        """Return one command of ``group``; `UserError` where no plugin or two plugins mount it."""
        return self._commands.get(group, _Names[CommandSpec](f"{group} command")).get(name)

    def components(self, kind: ComponentKind) -> dict[str, str]:
        """Return name to ``"module:attribute"`` of everything plugins offer of a kind."""
        return self._components[kind].single()

    def component(self, kind: ComponentKind, name: str) -> Any:
        """Load the extractor, solver, schedule or evaluator with this name."""
        return load_object(self._components[kind].get(name))

    def conflicts(self) -> list[str]:
        """Return one sentence for every name claimed more than once, with the distributions that claim it."""
        return [
            *self._cards.conflicts(),
            *self._datasets.conflicts(),
            *(sentence for names in self._commands.values() for sentence in names.conflicts()),
            *(sentence for names in self._components.values() for sentence in names.conflicts()),
        ]


@functools.cache
def registry() -> Registry:
    """Return the registry of the installed plugins; discovered once per process."""
    return Registry(_load(entry_point) for entry_point in entry_points(group=ENTRY_POINT_GROUP))


def _load(entry_point: EntryPoint) -> PluginStatus:
    distribution = entry_point.dist.name if entry_point.dist else "unknown distribution"
    version = entry_point.dist.version if entry_point.dist else ""
    status = functools.partial(
        PluginStatus,
        name=entry_point.name,
        distribution=distribution,
        version=version,
        plugin=None,
        target=entry_point.value,
    )
    try:
        found = entry_point.load()
    except (Exception, SystemExit) as error:  # whatever a stranger's module does on import, the others go on
        return status(
            error=f"{type(error).__name__}: {_first_line(error)}", traceback=tracebacks.format_exc()
        )
    problem = _problem(entry_point.value, found)
    if problem:
        return status(error=problem)
    return status(plugin=found)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0]


def _problem(value: str, found: object) -> str:
    """Say in one line why ``found`` cannot serve as a plugin, or return ``""``."""
    if not isinstance(found, Plugin):
        return f"'{value}' is of type {type(found).__name__}, not dar_bench.api.Plugin"
    parts: tuple[tuple[str, Iterable[object], type], ...] = (
        ("cards", found.cards, Card),
        ("commands", found.commands, CommandSpec),
        ("datasets", found.datasets, DatasetSpec),
    )
    for name, items, wanted in parts:
        for item in items:
            if not isinstance(item, wanted):
                return f"'{value}' has a {type(item).__name__} among its {name}, not a {wanted.__name__}"
    return ""


def load_object(target: str) -> Any:
    """Import what ``"module:attribute"`` names.

    Raises:
        UserError: the text has another form, a module is not installed, or the attribute does not exist.
    """
    module_name, separator, attribute = target.partition(":")
    if not separator or not module_name or not attribute:
        raise UserError(f"'{target}' does not name an object.", why="The form is 'module:attribute'.")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise missing_module(f"Cannot load '{target}'.", error) from error
    if not hasattr(module, attribute):
        raise UserError(f"Cannot load '{target}'.", why=f"The module {module_name} has no '{attribute}'.")
    return getattr(module, attribute)


def missing_module(what: str, error: ModuleNotFoundError) -> UserError:
    """Build the error for a module that is not installed, with the extra of dar-bench that brings it."""
    name = (error.name or "").split(".")[0]
    extra = _EXTRA_OF_MODULE.get(name)
    return UserError(
        what,
        why=f"The Python module '{error.name}' is not installed.",
        hint=f"Install it with: pip install 'dar-bench[{extra}]'" if extra else "",
    )


def resource_path(resource: str) -> Path:
    """Return the path of ``"package:relative/path"``, a file or folder that ships inside a Python package.

    Raises:
        UserError: the package or the file does not exist.
    """
    package, separator, relative = resource.partition(":")
    if not separator or not package or not relative:
        raise UserError(
            f"'{resource}' does not name a packaged file.", why="The form is 'package:relative/path'."
        )
    try:
        root = importlib.resources.files(package)
    except ModuleNotFoundError as error:
        raise missing_module(f"Cannot find '{resource}'.", error) from error
    path = Path(str(root)) / relative
    if not path.exists():
        raise UserError(
            f"The packaged file '{resource}' is missing.",
            why=f"There is no '{path}'.",
            hint=f"Reinstall the distribution that brings the package {package}.",
        )
    return path


def load_model(
    name: str, options: LoadOptions, weights: Path | None = None
) -> Tokenizer | Generator | Autoencoder:
    """Load a model of the zoo.

    Args:
        name: its name or an alias.
        options: device, precision, compilation.
        weights: a safetensors file in the plugin's layout to use instead of the card's own weights.

    Raises:
        UserError: unknown name, weights that are not there, or a file that does not fit.
    """
    from dar_bench.weights import weights_path

    card = registry().card(name)
    if weights is not None and not weights.is_file():
        raise UserError(
            f"There is no weights file '{weights}'.", hint="Give the path of a .safetensors file."
        )
    model: Tokenizer | Generator | Autoencoder = load_object(card.load)(
        card, weights or weights_path(card), options
    )
    return model
