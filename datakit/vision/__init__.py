"""Datasets of images, and reading image files."""

from datakit.vision.faces import FaceLandmarks
from datakit.vision.folder import ImageFiles, ImageFolder
from datakit.vision.io import image_size, read_image

__all__ = ["FaceLandmarks", "ImageFiles", "ImageFolder", "image_size", "read_image"]
