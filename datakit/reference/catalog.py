"""References by name. Listing the names imports none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datakit.catalog import import_object
from datakit.errors import UnknownNameError

if TYPE_CHECKING:
    from datakit.reference.base import Reference

BUILT_IN = {
    "char-rnn-classify": ("datakit.reference.char_rnn_classify:NamesByRnn", "The language of a surname, by an RNN."),
    "char-rnn-generate": ("datakit.reference.char_rnn_generate:NamesDrawn", "Surnames of a language, by an RNN."),
    "cifar10": ("datakit.reference.cifar10:Cifar10", "Ten classes, by a net of two convolutions."),
    "data-parallel": ("datakit.reference.data_parallel:DataParallel", "A batch over 1, 2, 3 and 8 replicas."),
    "dcgan": ("datakit.reference.dcgan:Dcgan", "Images out of noise."),
    "faces": ("datakit.reference.faces:Faces", "The 68 points of a face, by a small convolutional net."),
    "fgsm": ("datakit.reference.fgsm:Fgsm", "LeNet under attack by the sign of the gradient."),
    "hymenoptera": ("datakit.reference.hymenoptera:Hymenoptera", "Ants and bees, by ResNet-18."),
    "mnist-stn": ("datakit.reference.mnist_stn:MnistStn", "Digits, by a spatial transformer."),
    "penn-fudan": ("datakit.reference.penn_fudan:PennFudanDetector", "Instances, by detectors of torchvision."),
    "spoken-digits": ("datakit.reference.spoken_digits:DigitsByCnn", "Spoken digits, by log-mel features and a CNN."),
    "style-transfer": ("datakit.reference.style_transfer:StyleTransfer", "One picture in the style of another."),
    "translate": ("datakit.reference.translate:TranslateByAttention", "French into English, by attention."),
    "yesno": ("datakit.reference.yesno:YesNoByCtc", "Yes and no, word after word, by CTC."),
}
"""Where each reference is, and what it is in a line."""


def find(name: str) -> type[Reference]:
    """The class of the reference called `name`.

    Raises:
        UnknownNameError: with the nearest name.

    Examples:
        >>> from datakit.reference import find
        >>> find("faces").__name__
        'Faces'
    """
    if name not in BUILT_IN:
        raise UnknownNameError.of("reference", name, BUILT_IN)
    found: type[Reference] = import_object(BUILT_IN[name][0])
    return found
