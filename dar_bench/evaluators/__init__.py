"""Protocols: an extractor, its metrics and the rules that make a score comparable."""
