"""The networks of LlamaGen: pure modules that know nothing of checkpoints, devices or commands."""
