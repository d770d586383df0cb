"""Object detection: images with boxes, from VOC and COCO on disk or drawn, and detectors on a pre-trained encoder."""

from avalanche_ssl.detection.boxes import Target
from avalanche_ssl.detection.dataset import DetectionData, DetectionDataset, metric_target
from avalanche_ssl.detection.scenes import embedded_scenes

__all__ = ["DetectionData", "DetectionDataset", "Target", "embedded_scenes", "metric_target"]
