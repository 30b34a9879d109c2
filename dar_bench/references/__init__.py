"""Reference statistics: what is published, what a file holds, and how one is made."""
