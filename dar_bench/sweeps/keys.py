"""What the things that a sweep makes depend on, as keys of the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dar_bench.api import Card
from dar_bench.hashing import sha256_bytes, sha256_json
from dar_bench.recording import plain_options
from dar_bench.runs.folder import RunKey
from dar_bench.sweeps.nodes import VERSION
from dar_bench.sweeps.worker import ModelSpec


def model_key(card: Card, weights_sha256: str, spec: ModelSpec) -> dict[str, Any]:
    """Return what a model's arrays depend on: weights, sizes, code, precision and kind of device."""
    return {
        "weights": weights_sha256,
        "card": sha256_json({"load": card.load, "config": repr(sorted(card.config.items()))}),
        "dtype": spec.loading.dtype,
        "device": spec.loading.device.partition(":")[0],
        "compile": spec.loading.compile,
        "version": VERSION,
    }


def labels_key(policy: str, reference: bytes) -> str:
    """Return what says which class every sample has, however many samples there are.

    Args:
        policy: that chose them.
        reference: bytes of the labels of the reference set, which count for the policy of that name.
    """
    return f"{policy}:{sha256_bytes(reference)}" if policy == "reference" else policy


def codes_key(model: Mapping[str, Any], options: Mapping[str, Any], seed: int, labels: str) -> RunKey:
    """Return the key of codes of labels, whatever their count of tokens (they are prefix-stable)."""
    depends = {"model": dict(model), "options": plain_options(options), "seed": seed, "labels": labels}
    return RunKey(kind="codes", depends=depends)


def with_tokens(key: RunKey, tokens: int) -> RunKey:
    """Return the key of the first ``tokens`` codes."""
    return RunKey(kind=key.kind, depends={**key.depends, "tokens": tokens})


def encoded_key(model: Mapping[str, Any], images: str) -> RunKey:
    """Return the key of codes of images; ``images`` is the fingerprint of their content and crop."""
    return RunKey(kind="encoded", depends={"model": dict(model), "images": images})


def view_key(
    source: RunKey, decoder: Mapping[str, Any], options: Mapping[str, Any], seed: int, tokens: int
) -> RunKey:
    """Return the key of images decoded from the first ``tokens`` codes."""
    depends = {
        "codes": source.digest(),
        "decoder": dict(decoder),
        "options": plain_options(options),
        "seed": seed,
        "tokens": tokens,
    }
    return RunKey(kind="images", depends=depends)


def generated_key(model: Mapping[str, Any], options: Mapping[str, Any], seed: int, labels: str) -> RunKey:
    """Return the key of images of a generator without codes."""
    depends = {"model": dict(model), "options": plain_options(options), "seed": seed, "labels": labels}
    return RunKey(kind="images", depends=depends)


def pairs_key(view: RunKey, lpips: str) -> RunKey:
    """Return the key of the pixel scores of reconstructions; ``lpips`` names its weights, or is empty."""
    return RunKey(kind="pairs", depends={"images": view.digest(), "lpips": lpips})
