"""Object detection: images with boxes, from VOC and COCO on disk or drawn, and detectors on a pre-trained encoder."""

from avalanche_ssl.detection.backbone import PyramidBackbone
from avalanche_ssl.detection.boxes import Target
from avalanche_ssl.detection.dataset import DetectionData, DetectionDataset, metric_target
from avalanche_ssl.detection.detector import DETECTORS, Detector
from avalanche_ssl.detection.label_shares import label_share
from avalanche_ssl.detection.opening import open_detection_data
from avalanche_ssl.detection.pictures import draw_detections
from avalanche_ssl.detection.precision import AveragePrecision, average_precision, find_backend
from avalanche_ssl.detection.scenes import embedded_scenes
from avalanche_ssl.detection.training import DetectorTraining, fit_detector, predict

__all__ = [
    "DETECTORS",
    "AveragePrecision",
    "DetectionData",
    "DetectionDataset",
    "Detector",
    "DetectorTraining",
    "PyramidBackbone",
    "Target",
    "average_precision",
    "draw_detections",
    "embedded_scenes",
    "find_backend",
    "fit_detector",
    "label_share",
    "metric_target",
    "open_detection_data",
    "predict",
]
