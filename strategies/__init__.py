"""Tuned recipes, one file per strategy; installed as `avalanche_ssl.strategies`."""
