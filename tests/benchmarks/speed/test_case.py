"""Case: recipe, images and strategy of what is timed."""

import numpy as np


def test_views_are_as_large_as_the_images(moco):
    settings = moco._replace(strategy="simclr").recipe({"temperature": 0.3}).settings
    assert settings["augment"]["size"] == 16 and settings["batch_size"] == 8 and settings["temperature"] == 0.3
    assert moco._replace(strategy="cpc", size=32).recipe().settings["batch_size"] == 8


def test_images_are_the_same_each_time(moco):
    images = moco.images(5)
    assert images.shape == (5, 16, 16, 3) and images.dtype == np.uint8
    assert (moco.images(3) == images[:3]).all()
    assert len(moco.experience(5).dataset) == 5


def test_the_strategy_is_built_with_the_cases_options(moco):
    strategy = moco._replace(precision="bf16").build({"queue_size": 16})
    assert strategy.precision == "bf16" and strategy.train_mb_size == 8 and not strategy.compile
    assert len(strategy.model.queue.rows) == 16
