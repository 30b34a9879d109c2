"""The report: records as one self-contained HTML page that a colleague can open from a file."""
