"""The networks of D-AR: pure modules that know nothing of checkpoints, devices or commands."""
