"""Training of LlamaGen's two stages."""
