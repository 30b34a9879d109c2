"""Sampling: per-sample randomness, guidance schedules, the autoregressive engine, ODE solvers."""
