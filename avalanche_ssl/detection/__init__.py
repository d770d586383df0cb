"""Object detection: images with boxes, from VOC and COCO on disk or drawn, and detectors on a pre-trained encoder."""

from avalanche_ssl.detection.dataset import DetectionDataset, Target, metric_target

__all__ = ["DetectionDataset", "Target", "metric_target"]
