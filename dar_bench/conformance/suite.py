"""The conformance suite: every rule, asked of everything that a plugin offers.

with Bench() as bench:
    for finding in check_plugin(status, bench): ...
"""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterator
from importlib import import_module
from pathlib import Path

from dar_bench.api import AutoencoderCard, Card, GeneratorCard, TokenizerCard
from dar_bench.conformance.bench import Bench
from dar_bench.conformance.guide import rule_line
from dar_bench.conformance.rules import RULES, RUNNING, Broken, DoesNotApply, Finding, Outcome, Rule
from dar_bench.conformance.subjects import (
    AutoencoderSubject,
    CardSubject,
    CommandSubject,
    DatasetSubject,
    GeneratorSubject,
    PluginSubject,
    TokenizerSubject,
)
from dar_bench.errors import UserError, unknown_name
from dar_bench.plugins import PluginStatus, registry

_SUBJECTS = (
    "plugin",
    "card",
    "weight",
    "tokenizer",
    "autoencoder",
    "generator",
    "option",
    "precision",
    "training",
)
for _module in _SUBJECTS:
    import_module(f"dar_bench.conformance.{_module}_rules")

Subject = PluginSubject | CardSubject | CommandSubject | DatasetSubject
Item = tuple[Rule, Subject]


def find_plugin(name: str) -> tuple[PluginStatus, Card | None]:
    """Return the plugin of this name; or the plugin and the card of the model of this name.

    Raises:
        UserError: nothing has this name, or the plugin did not load.
    """
    found = registry()
    for status in found.plugins:
        cards = status.plugin.cards if status.plugin else ()
        named = [card for card in cards if name in (card.name, *card.aliases)]
        if name == status.name or named:
            if status.plugin is None:
                raise UserError(
                    f"The plugin '{name}' did not load.",
                    why=status.error,
                    hint="See 'dar-bench plugins list --traceback'.",
                    exit_code=1,
                )
            return status, None if name == status.name else named[0]
    models = (card.name for card in found.cards())
    raise unknown_name(
        "plugin or model",
        name,
        [*(status.name for status in found.plugins), *models],
        hint="See 'dar-bench plugins list'.",
    )


def items(
    status: PluginStatus, bench: Bench, *, card: Card | None = None, rules: Collection[str] = ()
) -> list[Item]:
    """Return every rule with every subject that it is asked of.

    Args:
        status: the plugin, loaded.
        bench: where models run.
        card: ask only of this model.
        rules: ask only these rules; all where empty.

    Raises:
        UserError: there is no rule of such a name.
    """
    for name in rules:
        if name not in RULES:
            raise unknown_name("rule", name, RULES, hint="See 'dar-bench plugins guide rules'.")
    wanted = [rule for rule in RULES.values() if not rules or rule.id in rules]
    found: list[Item] = []
    for subject, scopes in _subjects(status, bench, card):
        found += [(rule, subject) for rule in wanted if rule.scope in scopes]
    return found


def _subjects(
    status: PluginStatus, bench: Bench, only: Card | None
) -> Iterator[tuple[Subject, tuple[str, ...]]]:
    plugin = status.plugin
    assert plugin is not None
    if only is None:
        yield PluginSubject(plugin=plugin, target=status.target, bench=bench), ("plugin",)
    for card in plugin.cards if only is None else (only,):
        if isinstance(card, TokenizerCard):
            yield TokenizerSubject(card=card, plugin=plugin, bench=bench), ("card", "tokenizer")
        elif isinstance(card, GeneratorCard):
            yield GeneratorSubject(card=card, plugin=plugin, bench=bench), ("card", "generator")
        elif isinstance(card, AutoencoderCard):
            yield AutoencoderSubject(card=card, plugin=plugin, bench=bench), ("card", "autoencoder")
        else:
            yield CardSubject(card=card, plugin=plugin, bench=bench), ("card",)
    if only is None:
        for command in plugin.commands:
            yield CommandSubject(command=command, plugin=plugin, bench=bench), ("command",)
        for dataset in plugin.datasets:
            yield DatasetSubject(dataset=dataset, bench=bench), ("dataset",)


def check(item: Item) -> Finding:
    """Ask one rule of one subject. Whatever the plugin's code raises is a finding, not an error."""
    rule, subject = item
    outcome, detail = _ask(rule, subject)
    return Finding(
        rule=rule.id, subject=str(subject), outcome=outcome, detail=detail, guide_line=rule_line(rule.id)
    )


def _ask(rule: Rule, subject: Subject) -> tuple[Outcome, str]:
    try:
        if rule.scope in RUNNING and isinstance(subject, CardSubject):
            why = subject.bench.why_not_run(subject.card)
            if why:
                raise DoesNotApply(why)
        return "holds", rule.check(subject)
    except DoesNotApply as reason:
        return "does not apply", str(reason)
    except Broken as reason:
        return "fails", str(reason)
    except (Exception, SystemExit) as error:
        return "fails", _unexpected(error)


def check_plugin(
    status: PluginStatus, bench: Bench, *, card: Card | None = None, rules: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield the finding of every item, in order; see `items`."""
    for item in items(status, bench, card=card, rules=rules):
        yield check(item)


def _unexpected(error: BaseException) -> str:
    """Say what was raised, and where in the plugin."""
    own = Path(__file__).parent
    frames = traceback.extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(frames) if own not in Path(frame.filename).parents), frames[-1])
    text = " ".join(str(error).split())[:300]
    return f"raises {type(error).__name__}: {text} ({Path(place.filename).name}:{place.lineno})"
