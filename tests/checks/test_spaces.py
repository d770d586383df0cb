"""Methods that declare embeddings wrongly."""

import pytest
import torch
from helpers.broken import Broken, assert_caught, assert_complete
from torch import nn

from avalanche_ssl.checks import spaces
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.methods import MoCo, SimCLR

BROKEN = Broken()
breaks = BROKEN.breaks


@breaks("spaces_are_what_they_say", "spaces name 'query', which embed does not return: it returns ['first', 'second']")
class Misnamed(SimCLR):
    spaces = (("first", "query"),)


@breaks("spaces_are_what_they_say", "family is 'cosine'")
class UnknownFamily(SimCLR):
    family = "cosine"


@breaks("spaces_are_what_they_say", "no gradient of embedding 'key' reaches the encoder")
class KeepsKeys(MoCo):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.spaces = (("query",), ("key",))


@breaks("spaces_are_what_they_say", "lengths [8, 16]")
class TwoLengths(SimCLR):
    spaces = (("first", "half"),)

    def embed(self, views):
        outputs = super().embed(views)
        return outputs | {"half": outputs["second"][:, :8]}


@breaks("spaces_are_what_they_say", "return float (B, D) or (B, n, D)")
class OneRow(SimCLR):
    def embeddings(self, outputs):
        return [[z.flatten() for z in space] for space in super().embeddings(outputs)]


@breaks("spaces_are_what_they_say", "does not permute embedding 'first'")
class Rolled(SimCLR):
    def embeddings(self, outputs):
        order = torch.randperm(len(outputs["first"]), generator=torch.Generator().manual_seed(0))
        return [[z[order] for z in space] for space in super().embeddings(outputs)]


@breaks("spaces_are_what_they_say", "embeddings returns [1] tensors by space, and spaces name [2]")
class LeavesOneOut(SimCLR):
    def embeddings(self, outputs):
        return [space[:1] for space in super().embeddings(outputs)]


class Coded(SimCLR):
    """With prototypes."""

    family = "knowledge"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.prototypes = nn.Parameter(torch.randn(1, 4, 16))

    def loss(self, outputs):
        return super().loss(outputs) + self.prototypes.square().mean()


@breaks("spaces_are_what_they_say", "has no codebook")
class NoCodebook(Coded):
    pass


@breaks("spaces_are_what_they_say", "rows of codebook are not unit")
class LongCodes(Coded):
    def codebook(self):
        return self.prototypes.detach()


@breaks("spaces_are_what_they_say", "codebook is (4, 16): return (H, K, 16)")
class FlatCodes(Coded):
    def codebook(self):
        return l2_normalize(self.prototypes.detach())[0]


@breaks("the_copy_embeds_without_memory", "without its memory, a copy has another embedding 'query'")
class ReadsQueue(MoCo):
    """The query looks at the queue, which a teacher does not have; its gradient and rows are sound."""

    def embed(self, views):
        outputs = super().embed(views)
        count = getattr(self.queue, "n_enqueued", torch.zeros(()))
        return outputs | {"query": outputs["query"] * (1 + count)}


@pytest.mark.contract
@pytest.mark.parametrize("cls, rule, found", BROKEN)
def test_broken_methods_are_caught_by_name(cls, rule, found):
    assert_caught(cls, rule, found)


def test_every_rule_has_a_broken_method_and_a_docstring():
    assert_complete(BROKEN, spaces)
