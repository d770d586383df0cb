"""The command shard_cost.py: one line per way and round, and nothing left on the disk."""

import re

import pytest
import shard_cost

from avalanche_ssl.data import find_index


@pytest.mark.slow
def test_one_line_per_way_and_the_images_are_removed(tmp_path, capsys):
    pytest.importorskip("resource", reason="no /proc on Windows")
    small = ["--images", "600", "--images-per-shard", "200", "--batches", "1", "--rounds", "1"]
    assert shard_cost.main([*small, "--folder", str(tmp_path / "x")]) == 0
    first, head, *lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"600 images; index: 0\.\d+ CPU s per 1,000 images", first)
    assert head.split()[:3] == ["way", "MiB", "kept"] and [line.split()[0] for line in lines] == list(shard_cost.WAYS)
    assert all(float(line.split()[3]) > 0 for line in lines)
    assert not (tmp_path / "x").exists()


def test_links_make_a_folder_of_very_many_images(tmp_path):
    options = ["--links", "7", "--images-per-shard", "4", "--ways", "shards"]
    parsed = shard_cost.arguments_parser().parse_args([*options, "--folder", str(tmp_path / "x")])
    _, images = shard_cost.prepare(parsed)
    index = find_index(tmp_path / "x" / "shards")
    assert images == 28 and index.counts.tolist() == [4] * 7
    assert index.rows(0, 4).tolist() == index.rows(24, 28).tolist()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ways", "arrow"], "no way 'arrow': choose from shards,list,files"),
        (["--links", "3"], "--links is about shards: give --ways shards or shards,list"),
        (["--folder", "."], "'.' is there already: give another --folder, or remove it"),
    ],
)
def test_mistakes_are_one_line(words, said, capsys):
    assert shard_cost.main(words) == 2
    assert capsys.readouterr().err == f"shard_cost.py: {said}\n"
