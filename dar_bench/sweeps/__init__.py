"""Sweeps: many measurements planned as one graph of shared work.

    specification -> plan -> execution -> records and tables

Codes are made once per model, guidance, sampling options and seed; every solver, step count and partial-token count
is decoded from them; all previews come from one decoding; one pass of an extractor serves every metric; the reference
is read once per machine. What is made is kept (``dar_bench.runs``), so that a sweep that was stopped goes on.
"""
