"""Regression checks: what ``checks.toml`` expects, measured again and judged."""
