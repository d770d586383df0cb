"""Images for tests of geometry."""

import torch


def coordinates(size, batch=1):
    """Images whose three channels are row, column and number of the image: a pixel encodes its place."""
    rows, columns = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    return torch.stack([torch.stack([rows, columns, torch.full_like(rows, b)]) for b in range(batch)])
