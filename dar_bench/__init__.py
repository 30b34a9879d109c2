"""dar-bench: train, sample and evaluate D-AR and its peers on one road from request to record."""

__version__ = "0.1.0"
