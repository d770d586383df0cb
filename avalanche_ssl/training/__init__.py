"""The Avalanche template that trains every method."""
