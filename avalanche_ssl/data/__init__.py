"""Raw images out of Avalanche's datasets, in batches."""
