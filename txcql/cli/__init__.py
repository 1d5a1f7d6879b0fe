"""The command line: ``python -m txcql``."""
