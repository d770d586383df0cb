"""`PixelCNN`: the context network of CPC."""

from torch import Tensor, nn
from torch.nn import functional as F


class PixelCNN(nn.Module):
    """Context of each position of a grid, from all columns of the rows at or above it (CPC v2, appendix).

    Residual blocks, whose sum a ReLU follows once, at the end.

    Args:
        channels: of the grid, and of the context.
        hidden_dim: channels inside a block.
        blocks: number of residual blocks.
    """

    def __init__(self, channels: int, hidden_dim: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, hidden_dim, 1),
                nn.ReLU(inplace=True),
                nn.Conv2d(hidden_dim, hidden_dim, (1, 3), padding=(0, 1)),
                nn.ZeroPad2d((0, 0, 1, 0)),  # a row on top, so that the next kernel sees its own row and the one above
                nn.Conv2d(hidden_dim, hidden_dim, (2, 1)),
                nn.ReLU(inplace=True),
                nn.Conv2d(hidden_dim, channels, 1),
            )
            for _ in range(blocks)
        )

    def forward(self, z: Tensor) -> Tensor:
        """Contexts (B, C, H, W) of embeddings (B, C, H, W)."""
        for block in self.blocks:
            z = z + block(z)
        return F.relu(z)
