from __future__ import annotations

from xml.etree import ElementTree

from dar_bench.checks.judging import Outcome, ScoreVerdict
from dar_bench.checks.reports import github_lines, json_value, junit, sentence, summary, table

OUTCOMES = [
    Outcome(
        name="good",
        verdict="matches",
        scores=(ScoreVerdict(name="FD", verdict="matches", expected=2.0, found=2.1, standard_errors=0.5),),
        seconds=1.5,
    ),
    Outcome(
        name="bad, <50 %>",
        verdict="drifted",
        scores=(ScoreVerdict(name="FD", verdict="drifted", expected=2.0, found=3.0, standard_errors=5.0),),
        reason="Not consistent:\nall changed",
    ),
    Outcome(name="gone", verdict="not comparable", reason="other weights: a and b"),
    Outcome(name="maybe", verdict="not comparable", reason="no weights", optional=True),
]


def test_junit_has_a_failure_an_error_and_a_skip() -> None:
    suite = ElementTree.fromstring(junit(OUTCOMES))
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "4",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
        "time": "1.500",
    }
    kinds = {case.get("name"): [child.tag for child in case] for case in suite}
    assert kinds == {
        "good": ["system-out"],
        "bad, <50 %>": ["failure", "system-out"],
        "gone": ["error", "system-out"],
        "maybe": ["skipped", "system-out"],
    }
    failure = suite.find("testcase/failure")
    assert failure is not None and "5.0 standard errors away" in str(failure.get("message"))


def test_annotations_are_single_lines_with_escapes() -> None:
    assert github_lines(OUTCOMES) == [
        "::error title=dar-bench check%3A bad%2C <50 %25>%3A drifted::bad, <50 %25>: drifted. Not consistent:%0A"
        "all changed. FD is 3 and was 2, 5.0 standard errors away.",
        "::error title=dar-bench check%3A gone%3A not comparable::gone: not comparable. other weights: a and b.",
        "::warning title=dar-bench check%3A maybe%3A not comparable::maybe: not comparable. no weights.",
    ]


def test_words_tables_and_json_agree() -> None:
    assert sentence(OUTCOMES[0]) == "good: matches."
    assert summary(OUTCOMES) == "4 checks: 1 matches, 1 drifted, 2 not comparable (1 optional)."
    assert [row[0] for row in table(OUTCOMES)] == ["good", "bad, <50 %>", "gone", "maybe"]
    assert table(OUTCOMES)[1][1:] == ["FD", "2", "3", "+5.00", "drifted"]
    assert [value["passed"] for value in json_value(OUTCOMES)] == [True, False, False, True]
