"""Random state as a function of (seed, step, process), so that no checkpoint has to store it."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed torch (all devices), numpy and Python for one step of one process; dropout draws from these."""
    digest = hashlib.blake2b(f"dar-bench/training/{seed}|{step}|{rank}".encode(), digest_size=8).digest()
    value = int.from_bytes(digest, "little")
    torch.manual_seed(value)
    np.random.seed(value % 2**32)
    random.seed(value)
