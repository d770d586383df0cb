"""Comparison of runs: tables, figures and one HTML page."""
