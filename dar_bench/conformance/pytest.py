"""The conformance rules as tests of a plugin's own.

    # tests/test_conformance.py
    from dar_bench.conformance.pytest import conformance_tests

    test_conformance = conformance_tests("my-model")

One test per rule and subject, named ``test_conformance[parameters: model my-model]``. A rule that does not
apply passes and leaves its reason in the test's properties.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Any, cast

import pytest

from dar_bench.conformance.bench import Bench
from dar_bench.conformance.guide import GUIDE, text
from dar_bench.conformance.suite import Item, check, find_plugin, items


def conformance_tests(name: str, *, large: bool = False, rules: Collection[str] = ()) -> Callable[..., None]:
    """Return a test function with one case per rule and subject of a plugin.

    Args:
        name: an installed plugin, or one model of it.
        large: also run models above 100 M parameters whose weights are on this machine.
        rules: only these; all where empty.

    Raises:
        UserError: no plugin or model has this name, or it did not load.
    """
    status, card = find_plugin(name)
    bench = _bench(large)
    cases = items(status, bench, card=card, rules=rules)

    @pytest.mark.parametrize("item", cases, ids=[f"{rule.id}: {subject}" for rule, subject in cases])
    def test_conformance(item: Item, record_property: Callable[[str, Any], None]) -> None:
        finding = check(item)
        record_property("outcome", finding.outcome)
        record_property("detail", finding.detail)
        if finding.outcome == "fails":
            pytest.fail(
                f"{finding.subject}: {finding.detail}\n{GUIDE}:{finding.guide_line}\n{text(finding.rule)}",
                pytrace=False,
            )

    return cast(Callable[..., None], test_conformance)


@functools.cache
def _bench(large: bool) -> Bench:
    """Return the bench that all tests of this process share, so that every model is loaded once."""
    return Bench(large=large)
