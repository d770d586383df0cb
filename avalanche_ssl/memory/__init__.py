"""What methods remember, as modules whose state is in buffers."""
