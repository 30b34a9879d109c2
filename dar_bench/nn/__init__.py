"""Building blocks of networks that plugins share."""
