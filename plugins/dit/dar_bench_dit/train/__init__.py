"""Training of diffusion transformers: ``dar-bench train dit``."""
