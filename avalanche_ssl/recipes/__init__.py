"""Recipes: the settings of strategies, by name and as YAML; imported when first used."""

from typing import TYPE_CHECKING

from avalanche_ssl.lazy import lazy_names

if TYPE_CHECKING:
    from avalanche_ssl.recipes.build import build_strategy as build_strategy
    from avalanche_ssl.recipes.encoder_loading import load_encoder as load_encoder
    from avalanche_ssl.recipes.encoder_setting import EncoderSetting as EncoderSetting
    from avalanche_ssl.recipes.encoder_setting import file_of as file_of
    from avalanche_ssl.recipes.installed import recipe_files as recipe_files
    from avalanche_ssl.recipes.installed import recipe_names as recipe_names
    from avalanche_ssl.recipes.loading import load_recipe as load_recipe
    from avalanche_ssl.recipes.loading import strategy_sha256 as strategy_sha256
    from avalanche_ssl.recipes.recipe import Recipe as Recipe
    from avalanche_ssl.recipes.settings import arguments as arguments
    from avalanche_ssl.recipes.settings import convert as convert
    from avalanche_ssl.recipes.settings import flatten as flatten
    from avalanche_ssl.recipes.settings import parse_settings as parse_settings
    from avalanche_ssl.recipes.settings import read_yaml as read_yaml
    from avalanche_ssl.recipes.settings import to_plain as to_plain

__all__ = [
    "EncoderSetting",
    "Recipe",
    "arguments",
    "build_strategy",
    "convert",
    "file_of",
    "flatten",
    "load_encoder",
    "load_recipe",
    "parse_settings",
    "read_yaml",
    "recipe_files",
    "recipe_names",
    "strategy_sha256",
    "to_plain",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "EncoderSetting": "encoder_setting",
        "Recipe": "recipe",
        "arguments": "settings",
        "build_strategy": "build",
        "convert": "settings",
        "file_of": "encoder_setting",
        "flatten": "settings",
        "load_encoder": "encoder_loading",
        "load_recipe": "loading",
        "parse_settings": "settings",
        "read_yaml": "settings",
        "recipe_files": "installed",
        "recipe_names": "installed",
        "strategy_sha256": "loading",
        "to_plain": "settings",
    },
)
