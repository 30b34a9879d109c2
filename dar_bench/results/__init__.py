"""Result records: one measurement, all that explains it, in one JSON file."""
