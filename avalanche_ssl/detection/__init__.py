"""Object detection: images with boxes, from VOC and COCO on disk or drawn, and detectors on a pre-trained encoder."""

from avalanche_ssl.detection.boxes import Target
from avalanche_ssl.detection.dataset import DetectionData, DetectionDataset, metric_target
from avalanche_ssl.detection.label_shares import label_share
from avalanche_ssl.detection.opening import open_detection_data
from avalanche_ssl.detection.pictures import draw_detections
from avalanche_ssl.detection.scenes import embedded_scenes

__all__ = [
    "DetectionData",
    "DetectionDataset",
    "Target",
    "draw_detections",
    "embedded_scenes",
    "label_share",
    "metric_target",
    "open_detection_data",
]
