"""Result records: one measurement, all that explains it, in one JSON file.

``dar_bench.results.load_frame("results")`` has every score below a folder as a pandas data frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def load_frame(folder: str | Path = "results") -> Any:
    """Return all scores below a folder as a ``pandas.DataFrame``, one row per score.

    Its columns: record, created, kind, origin, source, model, samples, reference, score, value, stderr, low and
    high (95 %), n, protocol, and ``option.NAME`` for every option. Damaged records are left out.

    Raises:
        UserError: the folder does not exist, or pandas is not installed.
    """
    from dar_bench.results.store import RecordStore, to_frame

    return to_frame(RecordStore(folder).read().records)
