"""Training that knows no model: recipes, the loop, EMA, checkpoints, schedules and logs."""
