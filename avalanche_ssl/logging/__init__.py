"""The log of a run: `log.jsonl`."""
