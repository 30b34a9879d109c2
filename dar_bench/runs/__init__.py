"""Runs: what a model made, kept by what it depends on, so that it is made once.

    $DAR_BENCH_HOME/runs/<key>/run.json                        what it is, for a person
    $DAR_BENCH_HOME/runs/<key>/00000256-00000512.safetensors   samples 256 to 511

A run is cut into shards of a fixed size. A shard is written completely or not at all and holds the hash of its
arrays, so a run that was killed anywhere goes on where it was, several processes may fill one run, and one that is
damaged or deleted is made again alone.
"""
