"""Recipes: the settings of strategies, by name and as YAML; imported when first used."""

from typing import TYPE_CHECKING

from avalanche_ssl.lazy import lazy_names

if TYPE_CHECKING:
    from avalanche_ssl.recipes.installed import recipe_names as recipe_names
    from avalanche_ssl.recipes.loading import load_recipe as load_recipe
    from avalanche_ssl.recipes.recipe import Recipe as Recipe

__all__ = ["Recipe", "load_recipe", "recipe_names"]

__getattr__ = lazy_names(
    __name__,
    {"Recipe": "recipe", "load_recipe": "loading", "recipe_names": "installed"},
)
