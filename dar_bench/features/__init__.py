"""Feature extractors: uint8 images in, per-image feature vectors out."""
