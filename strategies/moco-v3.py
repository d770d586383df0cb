"""Draft. MoCo v3 (Chen et al. 2021, arXiv:2104.02057): keys of the batch instead of a queue, and a predictor.

python benchmarks/run.py --strategy moco-v3

Adam, where the paper has LARS for ResNets and AdamW for ViT: a short stream gives some hundred steps, too few for LARS.
"""

from avalanche_ssl.methods import MoCoV3
from avalanche_ssl.recipe import Recipe

recipe = Recipe(MoCoV3, optimizer="adam", lr=0.003, batch_size=64)
