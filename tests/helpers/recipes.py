"""Recipes made small, and compared."""

from functools import partial

from avalanche_ssl import Recipe

SMALL = {"capacity": 256, "queue_size": 256, "count": 64, "output_dim": 16}
"""Sizes of memories and heads, by the names that methods have for them."""


def shrunk(recipe: Recipe, **sizes: int) -> Recipe:
    """The recipe with small sizes, as far as it has settings of these names."""
    return recipe.override({name: size for name, size in (SMALL | sizes).items() if name in recipe.settings})


def same(first: Recipe, second: Recipe) -> bool:
    """Whether two recipes have the same method and settings."""

    def method(recipe: Recipe) -> object:
        return recipe.method.func if isinstance(recipe.method, partial) else recipe.method

    return first.settings == second.settings and method(first) is method(second)
