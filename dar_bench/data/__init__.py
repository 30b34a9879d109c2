"""Image sources, crops, and caches of token codes."""

from dar_bench.data.base import UNLABELLED, Example, ImageSource
from dar_bench.data.opening import open_source

__all__ = ["UNLABELLED", "Example", "ImageSource", "open_source"]
