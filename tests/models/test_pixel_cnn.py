"""The context network of CPC."""

import torch

from avalanche_ssl.models.pixel_cnn import PixelCNN


def test_relu_follows_the_sum_of_the_blocks_once():
    """As in the listing of CPC v2: c = relu(z + sum of residuals), so that a negative value can come back."""
    network = PixelCNN(1, 1, 2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.blocks[1][-1].bias.fill_(3.0)  # the second block adds 3, the first nothing
    z = torch.tensor([[[[-2.0, 1.0], [-5.0, 0.0]]]])
    assert torch.equal(network(z), torch.tensor([[[[1.0, 4.0], [0.0, 3.0]]]]))


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
