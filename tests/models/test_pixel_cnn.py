"""The context network of CPC."""

import torch

from avalanche_ssl.models.pixel_cnn import PixelCNN


def test_context_sees_all_columns_of_the_rows_at_or_above():
    """By gradient (methods.md 33): none from rows below; from rows at or above, from all columns."""
    torch.manual_seed(0)
    network = PixelCNN(8, 16, 5).double()
    z = torch.rand(1, 8, 7, 7, dtype=torch.float64, requires_grad=True)
    for row in range(7):
        (gradient,) = torch.autograd.grad(network(z)[0, :, row, 3].sum(), z)
        seen = gradient[0].abs().sum(0) > 0
        assert not seen[row + 1 :].any()
        assert seen[max(0, row - 5) : row + 1].all()
