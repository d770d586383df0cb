"""PASCAL VOC on disk (Everingham et al. 2010): `JPEGImages`, `Annotations/*.xml` and `ImageSets/Main/*.txt`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from avalanche_ssl.detection.boxes import Objects
from avalanche_ssl.detection.dataset import DetectionData, DetectionDataset
from avalanche_ssl.detection.image_files import Size, check_image_files, inside
from avalanche_ssl.detection.parts import NAMES, choose_parts
from avalanche_ssl.errors import UsageError


@dataclass
class _Annotation:
    """What the XML file of an image says."""

    size: Size | None
    names: list[str] = field(default_factory=list)
    boxes: list[list[float]] = field(default_factory=list)
    difficult: list[bool] = field(default_factory=list)


def is_voc(folder: Path) -> bool:
    """Whether a folder is one of VOC, as `VOCdevkit/VOC2007`."""
    return (folder / "JPEGImages").is_dir()  # Annotations is COCO's annotations where case does not count


def read_voc(folder: Path) -> DetectionData:
    """Images and boxes of a folder of VOC; for the parts see `choose_parts`.

    VOC counts pixels from 1 and includes the last: a box (xmin, ymin, xmax, ymax) spans xmin - 1 to xmax. Difficult
    objects are ignored, neither learned nor counted, as in VOC's own evaluation. Classes are the names in the
    annotations of the parts in use, in alphabetical order, which is VOC's own. Boxes of parts of the body are not read.

    Raises:
        UsageError: a list, an annotation or an image is missing or damaged; the file is named.
    """
    ids = _lists(folder)
    parts = choose_parts(ids, folder / "ImageSets" / "Main")
    files = {path.stem: path for path in sorted((folder / "JPEGImages").glob("*"), reverse=True)}  # .jpg before .png
    annotations = {name: [_read(_xml(folder, i)) for i in ids[name]] for name in parts if name}
    classes = sorted({name for part in annotations.values() for one in part for name in one.names})
    datasets = {
        name: _dataset([files.get(i, folder / "JPEGImages" / f"{i}.jpg") for i in ids[name]], part, classes)
        for name, part in annotations.items()
    }
    validation = datasets.get(parts.validation or "")
    return DetectionData(f"VOC '{folder}'", datasets[parts.train], validation, datasets[parts.test])


def _lists(folder: Path) -> dict[str, list[str]]:
    """The images of each part that has annotations; VOC's own test sets after 2007 come without."""
    ids: dict[str, list[str]] = {}
    for name in NAMES:
        path = folder / "ImageSets" / "Main" / f"{name}.txt"
        if not path.is_file():
            continue
        try:
            listed = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "no text in UTF-8"
            raise UsageError(
                f"cannot read '{path}' ({reason}): give a text file with an image name in each line"
            ) from error
        if not listed:
            raise UsageError(f"'{path}' lists no image: add some, a name without suffix in each line, or remove it")
        if name == "test" and not any(_xml(folder, i).exists() for i in listed):
            warnings.warn(f"the images of '{path}' have no annotations: not used", stacklevel=4)
            continue
        ids[name] = listed
    return ids


def _xml(folder: Path, image: str) -> Path:
    return inside(folder / "Annotations", f"{image}.xml")


def _dataset(paths: list[Path], annotations: list[_Annotation], classes: list[str]) -> DetectionDataset:
    sizes = check_image_files(paths, [one.size for one in annotations])
    labels, objects = {name: label for label, name in enumerate(classes)}, Objects()
    for number, one in enumerate(annotations):
        for name, box, difficult in zip(one.names, one.boxes, one.difficult, strict=True):
            objects.add(number, box, labels[name], difficult)
    return DetectionDataset(paths, objects.checked_targets(paths, sizes), classes)


def _read(path: Path) -> _Annotation:
    """The annotation of an image.

    Raises:
        UsageError: the file is missing or no annotation of VOC.
    """
    try:
        root = parse_xml(path.read_bytes())
        size = tuple(int(root.findtext(f"size/{name}") or 0) for name in ("width", "height"))
        annotation = _Annotation(size if all(size) else None)  # type: ignore[arg-type]  # two
        for item in root.findall("object"):
            x1, y1, x2, y2 = (float(_text(item, f"bndbox/{name}")) for name in ("xmin", "ymin", "xmax", "ymax"))
            annotation.boxes.append([x1 - 1, y1 - 1, x2, y2])
            annotation.names.append(_text(item, "name"))
            annotation.difficult.append(int(item.findtext("difficult") or 0) == 1)
    except OSError as error:
        raise UsageError(
            f"cannot read '{path}' ({error.strerror}): add the annotation, or take the image out of its list"
        ) from error
    except (ValueError, expat.ExpatError) as error:
        raise UsageError(f"'{path}' is no annotation of VOC ({error}): repair it") from error
    return annotation


def _text(element: Element, path: str) -> str:
    if not (text := (element.findtext(path) or "").strip()):
        raise ValueError(f"an object has no {path}")
    return text


def parse_xml(content: bytes) -> Element:
    """The root of an XML document, which may declare nothing: no entity that grows or leads to another file.

    Raises:
        ValueError: it has a document type.
        ExpatError: it is no XML.
    """

    def refuse(*declaration: Any) -> None:
        raise ValueError("it has a <!DOCTYPE>, which annotations do not need")

    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.Parse(content, True)
    return builder.close()
