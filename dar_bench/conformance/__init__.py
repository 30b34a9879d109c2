"""Conformance checks: what every plugin promises, asked of it rule by rule.

``dar-bench plugins check NAME`` runs them, `dar_bench.conformance.pytest.conformance_tests` makes tests of
them, and ``dar-bench plugins guide`` explains them.
"""
