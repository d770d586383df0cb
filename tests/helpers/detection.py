"""Tiny detection data in the exact layouts of VOC and COCO on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

VOC_XML = """<annotation>
\t<folder>VOC2007</folder>
\t<filename>{name}.jpg</filename>
\t<source>
\t\t<database>The VOC2007 Database</database>
\t\t<annotation>PASCAL VOC2007</annotation>
\t\t<image>flickr</image>
\t\t<flickrid>341012865</flickrid>
\t</source>
\t<size>
\t\t<width>{width}</width>
\t\t<height>{height}</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>0</segmented>
{objects}</annotation>
"""
VOC_OBJECT = """\t<object>
\t\t<name>{name}</name>
\t\t<pose>Unspecified</pose>
\t\t<truncated>0</truncated>
\t\t<difficult>{difficult}</difficult>
\t\t<bndbox>
\t\t\t<xmin>{xmin}</xmin>
\t\t\t<ymin>{ymin}</ymin>
\t\t\t<xmax>{xmax}</xmax>
\t\t\t<ymax>{ymax}</ymax>
\t\t</bndbox>
\t\t<part>
\t\t\t<name>head</name>
\t\t\t<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>
\t\t</part>
\t</object>
"""

VOCObject = tuple[str, tuple[float, float, float, float], int]
"""Name, (xmin, ymin, xmax, ymax) and difficult."""


def write_image(path: Path, width: int, height: int, color: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (color, 40, 40)).save(path)


def write_voc(folder: Path, parts: Mapping[str, Mapping[str, Sequence[VOCObject]]], size: tuple[int, int]) -> Path:
    """VOC data, whose parts have the objects of images by name."""
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    (folder / "Annotations").mkdir()
    for part, images in parts.items():
        (folder / "ImageSets" / "Main" / f"{part}.txt").write_text("".join(f"{name}\n" for name in images))
        (folder / "ImageSets" / "Main" / f"dog_{part}.txt").write_text("".join(f"{name} -1\n" for name in images))
        for name, objects in images.items():
            write_image(folder / "JPEGImages" / f"{name}.jpg", *size)
            write_annotation(folder, name, objects, size)
    return folder


def write_annotation(folder: Path, image: str, objects: Sequence[VOCObject], size: tuple[int, int]) -> None:
    texts = [
        VOC_OBJECT.format(
            name=name, difficult=difficult, **dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
        )
        for name, box, difficult in objects
    ]
    text = VOC_XML.format(name=image, width=size[0], height=size[1], objects="".join(texts))
    (folder / "Annotations" / f"{image}.xml").write_text(text)


def write_coco(folder: Path, parts: Mapping[str, dict[str, Any]]) -> Path:
    """COCO data, whose parts (as "train2017") have the content of `coco_content`; their images are written."""
    (folder / "annotations").mkdir(parents=True)
    for part, content in parts.items():
        (folder / "annotations" / f"instances_{part}.json").write_text(json.dumps(content))
        (folder / part).mkdir()
        for image in content["images"]:
            write_image(folder / part / image["file_name"], image["width"], image["height"])
    return folder


def coco_content(
    images: Mapping[int, tuple[int, int]],
    boxes: Sequence[tuple[int, int, Sequence[float], int]],
    categories: Mapping[int, str],
) -> dict[str, Any]:
    """An instances file.

    Args:
        images: size (W, H) by id.
        boxes: image id, category id, [x, y, width, height] and iscrowd of each annotation.
        categories: names by id.
    """
    return {
        "info": {"description": "COCO 2017 Dataset", "version": "1.0", "year": 2017},
        "licenses": [{"url": "http://creativecommons.org/licenses/by/2.0/", "id": 4, "name": "Attribution License"}],
        "images": [
            {"license": 4, "file_name": f"{number:012d}.jpg", "height": height, "width": width, "id": number}
            for number, (width, height) in images.items()
        ],
        "annotations": [
            {
                "segmentation": {"counts": [0, 9], "size": [3, 3]} if crowd else [[1, 1, 2, 1, 2, 2]],
                "area": box[2] * box[3],
                "iscrowd": crowd,
                "image_id": image,
                "bbox": list(box),
                "category_id": category,
                "id": 900 + number,
            }
            for number, (image, category, box, crowd) in enumerate(boxes)
        ],
        "categories": [{"supercategory": "x", "id": number, "name": name} for number, name in categories.items()],
    }
