"""The quickstart: the whole road on what the installed plugins ship, one function per step."""
