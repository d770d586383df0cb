"""Exact resume: the whole state of a run in one file."""
