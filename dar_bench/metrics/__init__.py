"""Pure functions of features and images: Frechet distance, inception score, precision and recall, ..."""
