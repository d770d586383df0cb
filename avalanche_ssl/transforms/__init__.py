"""Random views as batched tensor operations on the device."""
