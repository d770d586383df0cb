"""Classifiers fitted on frozen features."""
