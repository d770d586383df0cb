"""What probes read out of an encoder, and the numbers of a stream."""
