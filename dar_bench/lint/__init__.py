"""Checks of a sample set that run beside its measurement: what would move a score without anyone noticing."""

from dar_bench.lint.collector import Expectations, SampleLint
from dar_bench.lint.findings import RULES, Finding, failures

__all__ = ["RULES", "Expectations", "Finding", "SampleLint", "failures"]
