"""Encoders, heads and normalization layers."""
