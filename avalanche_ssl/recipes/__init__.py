"""Recipes: the settings of strategies, by name and as YAML."""
