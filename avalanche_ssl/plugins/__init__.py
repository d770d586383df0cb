"""Avalanche plugins: probes, representation monitor, replay."""
