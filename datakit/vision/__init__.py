"""Datasets of images, and reading image files."""

from datakit.vision.celeba import CelebA
from datakit.vision.cifar import CIFAR10
from datakit.vision.coco import CocoEvaluation, CocoResult, evaluate_detector
from datakit.vision.faces import FaceLandmarks
from datakit.vision.folder import ImageFiles, ImageFolder
from datakit.vision.io import image_size, read_image
from datakit.vision.mnist import MNIST, FashionMNIST
from datakit.vision.pennfudan import PennFudan
from datakit.vision.random_data import RandomData
from datakit.vision.sizes import aspect_ratio_groups, image_sizes

__all__ = [
    "CIFAR10",
    "MNIST",
    "CelebA",
    "CocoEvaluation",
    "CocoResult",
    "FaceLandmarks",
    "FashionMNIST",
    "ImageFiles",
    "ImageFolder",
    "PennFudan",
    "RandomData",
    "aspect_ratio_groups",
    "evaluate_detector",
    "image_size",
    "image_sizes",
    "read_image",
]
