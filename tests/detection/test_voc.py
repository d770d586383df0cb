"""PASCAL VOC on disk, in the exact format, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.detection import VOCObject, write_annotation, write_voc

from avalanche_ssl.detection.voc import is_voc, parse_xml, read_voc
from avalanche_ssl.errors import UsageError

SIZE = (50, 40)
DOG: VOCObject = ("dog", (8, 12, 30, 40), 0)
CAT: VOCObject = ("cat", (1, 1, 50, 40), 0)
BIRD: VOCObject = ("bird", (1, 2, 3, 4), 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    parts = {"train": {"000005": [DOG, BIRD], "000007": []}, "val": {"000009": [CAT, DOG]}}
    return write_voc(tmp_path / "VOC2012", parts, SIZE)


def test_images_boxes_and_classes(folder: Path) -> None:
    """Pixels are counted from 1 with the last included, difficult objects set apart, parts of the body not read."""
    assert is_voc(folder)
    data = read_voc(folder)
    assert data.validation is None
    assert data.train.class_names == data.test.class_names == ("bird", "cat", "dog")
    image, target = data.train[0]
    assert image.shape == (3, 40, 50)
    assert target["boxes"].tolist() == [[7, 11, 30, 40]]
    assert target["labels"].tolist() == [2]
    assert target["ignored_boxes"].tolist() == [[0, 1, 3, 4]]
    assert target["ignored_labels"].tolist() == [0]
    assert len(data.train[1][1]["labels"]) == 0
    assert data.test[0][1]["boxes"].tolist() == [[0, 0, 50, 40], [7, 11, 30, 40]]
    assert data.test[0][1]["labels"].tolist() == [1, 2]


def test_the_protocol_of_2007(tmp_path: Path) -> None:
    parts = {name: {f"0{i}": [DOG]} for i, name in enumerate(("train", "val", "trainval", "test"))}
    data = read_voc(write_voc(tmp_path / "VOC2007", parts, SIZE))
    assert [path.name for part in (data.train, data.test) for path in part.images if isinstance(path, Path)] == [
        "02.jpg",
        "03.jpg",
    ]


def test_a_test_list_without_annotations_is_not_used(folder: Path) -> None:
    (folder / "ImageSets/Main/test.txt").write_text("2008_000001\n")
    with pytest.warns(UserWarning, match=r"test.txt' have no annotations: not used"):
        assert len(read_voc(folder).test) == 1


def test_images_of_another_suffix(folder: Path) -> None:
    image = folder / "JPEGImages/000005.jpg"
    image.rename(image.with_suffix(".png"))
    assert read_voc(folder).train[0][0].shape == (3, 40, 50)


def test_an_annotation_without_a_size(folder: Path) -> None:
    path = folder / "Annotations/000005.xml"
    text = path.read_text()
    path.write_text(text[: text.index("\t<size>")] + text[text.index("\t<segmented>") :])
    assert read_voc(folder).train[0][1]["boxes"].tolist() == [[7, 11, 30, 40]]


def test_a_box_outside_its_image_is_refused(folder: Path) -> None:
    write_annotation(folder, "000009", [("dog", (60, 1, 70, 5), 0)], SIZE)
    with pytest.raises(UsageError, match=r"000009.jpg' of 50 x 40 pixels: box \(59, 0, 70, 5\) lies outside"):
        read_voc(folder)


def damage(folder: Path, what: str) -> None:
    xml = folder / "Annotations/000005.xml"
    if what == "no annotation":
        xml.unlink()
    elif what == "no xml":
        xml.write_text("<annotation>")
    elif what == "no box":
        xml.write_text(xml.read_text().replace("xmin", "left"))
    elif what == "no number":
        xml.write_text(xml.read_text().replace("<xmin>8", "<xmin>eight"))
    elif what == "another size":
        write_annotation(folder, "000005", [DOG], (40, 50))
    elif what == "no image":
        (folder / "JPEGImages/000005.jpg").unlink()
    elif what == "empty image":
        (folder / "JPEGImages/000005.jpg").write_bytes(b"")
    elif what == "empty list":
        (folder / "ImageSets/Main/train.txt").write_text("\n")
    elif what == "no text":
        (folder / "ImageSets/Main/train.txt").write_bytes(b"\xff\xfe\xff")
    elif what == "way out":
        (folder / "ImageSets/Main/train.txt").write_text("../../secret\n")
    elif what == "no list":
        (folder / "ImageSets/Main/train.txt").unlink()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no annotation", r"cannot read '.*000005.xml' \(No such file or directory\): add the annotation, or take"),
        ("no xml", r"000005.xml' is no annotation of VOC \(no element found.*\): repair it"),
        ("no box", r"000005.xml' is no annotation of VOC \(an object has no bndbox/xmin\): repair it"),
        ("no number", r"000005.xml' is no annotation of VOC \(could not convert string to float: 'eight'\)"),
        ("another size", r"000005.jpg' has 50 x 40 pixels and its annotation says 40 x 50: its boxes would be wrong"),
        ("no image", r"cannot read image '.*000005.jpg' \(No such file or directory\): repair it, or take it out"),
        ("empty image", r"cannot read image '.*000005.jpg' \(it is empty\): repair it, or take it out"),
        ("empty list", "train.txt' lists no image: add some"),
        ("no text", r"train.txt' \(no text in UTF-8\): give a text file"),
        ("way out", "image '../../secret.xml' does not lie in '.*Annotations': give its path from there"),
        ("no list", "Main' needs parts to train and to test on and has only val: add 'train'"),
    ],
)
def test_damage_is_refused_by_its_file(folder: Path, what: str, message: str) -> None:
    damage(folder, what)
    with pytest.raises(UsageError, match=message) as caught:
        read_voc(folder)
    assert "\n" not in str(caught.value)


BOMB = """<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]><annotation>&y;</annotation>"""
OUTSIDE = """<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><annotation>&x;</annotation>"""


@pytest.mark.parametrize("text", [BOMB, OUTSIDE, "<!DOCTYPE a><a/>"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_no_entity_is_declared(folder: Path, text: str, encoding: str) -> None:
    with pytest.raises(ValueError, match=r"it has a <!DOCTYPE>"):
        parse_xml(text.encode(encoding))
    (folder / "Annotations/000005.xml").write_bytes(text.encode(encoding))
    with pytest.raises(UsageError, match=r"000005.xml' is no annotation of VOC \(it has a <!DOCTYPE>"):
        read_voc(folder)


def test_xml_is_read_with_its_own_entities() -> None:
    root = parse_xml(b"<a><name>cats &amp; d&#111;gs</name></a>")
    assert root.findtext("name") == "cats & dogs"
