"""Measurements: images to features, features to sides, two sides to scores, each a step of its own.

``extraction`` turns one pass over the images into the features of every extractor that is needed, ``scoring``
turns two sides into every evaluator's scores, and ``measuring`` joins them to a model that makes the images.
A planner that has images or features from elsewhere calls the first two itself.
"""
