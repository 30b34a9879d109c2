"""Training of both D-AR models: tasks for the core's loop, and the commands."""
