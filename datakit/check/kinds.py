"""The kinds of findings: how bad each is, why it matters, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class About:
    """What is known of a kind of finding.

    Attributes:
        severity: `error` where training breaks or its result is wrong, `warning` where that is likely, `note` for what
            a person should know.
        title: a few words.
        why: why it matters.
        hint: what to do.

    Examples:
        >>> from datakit.check import KINDS
        >>> KINDS["leak"].severity, KINDS["leak"].title
        ('error', 'the same content in two splits')
    """

    severity: Literal["error", "warning", "note"]
    title: str
    why: str
    hint: str


KINDS: dict[str, About] = {
    # records
    "unreadable": About(
        "error",
        "records that cannot be read",
        "a training run stops there, or passes over them",
        'repair or remove them; Loader(on_error="skip") passes over them and counts them',
    ),
    "duplicate": About(
        "warning",
        "the same content twice",
        "it counts twice in the loss; in a split made by chance the copy ends up on the other side",
        "keep one of each",
    ),
    "near-duplicate": About(
        "note",
        "nearly the same content twice",
        "it counts twice in the loss; in a split made by chance the copy ends up on the other side",
        "look at them, and keep one of each, or keep them on one side of every split",
    ),
    "contradiction": About(
        "warning",
        "the same content with different annotations",
        "no model can learn both; in a test split one of them is always wrong",
        "look at which one is right, and leave the other out; all is well where an input may have several answers",
    ),
    "leak": About(
        "error",
        "the same content in two splits",
        "the test is easier than it says: the model has seen these",
        "take them out of the training split, or make the split by groups",
    ),
    "near-leak": About(
        "warning",
        "nearly the same content in two splits",
        "the test is easier than it says: the model has seen nearly these",
        "look at them, and take them out of the training split",
    ),
    "constant": About(
        "warning",
        "one value only",
        "there is nothing to see or to hear, and dividing by its standard deviation gives NaN",
        "look at the files; leave such records out",
    ),
    "empty": About(
        "warning",
        "nothing in it",
        "there is nothing to learn from; a sequence of no steps cannot be packed, and its mean is NaN",
        "leave such records out",
    ),
    "missing-key": About(
        "warning",
        "keys that other samples have",
        "a batch is made of the keys of its first sample, so it depends on the order whether one can be made",
        "give every sample the same keys, with an empty value where there is nothing",
    ),
    "not-finite": About(
        "error",
        "values that are NaN or infinite",
        "one of them makes the loss NaN, and with it all weights",
        "look at the files or the annotation, and leave such values out",
    ),
    # labels
    "unknown-label": About(
        "error",
        "labels outside the classes",
        "the loss fails; on a GPU with an assertion that ends the process",
        "classes count from 0 to their number less 1",
    ),
    "classes": About(
        "error",
        "splits that number their classes otherwise",
        "the same label means another class there: what the model has learnt is held against the wrong names",
        "give all splits the same folders, if need be empty ones, or one list of classes",
    ),
    "empty-class": About(
        "warning",
        "classes without samples",
        "the model never sees them, or they are never tested",
        "add samples, or take the class out of the list",
    ),
    "imbalance": About(
        "note",
        "classes far apart in size",
        "a model that always says the frequent class looks good in accuracy",
        "report a figure for each class; weigh the loss or draw the rare ones more often",
    ),
    # places
    "box-outside": About(
        "warning",
        "boxes that leave the image",
        "a crop or a resize moves them somewhere else than the object; losses of boxes grow",
        "look at the annotation, and at whether the image was turned by its EXIF tag; clip what is rounding",
    ),
    "box-empty": About(
        "error",
        "boxes that are empty or inverted",
        "torchvision's detectors refuse them, and a loss of boxes divides by their area",
        "boxes are x1, y1, x2, y2; if these are x, y, width, height, add the corner; drop empty ones",
    ),
    "box-twice": About(
        "warning",
        "the same box twice in an image",
        "the same object counts twice, and a detector that finds it once is told that it missed one",
        "drop the copies from every per-object key together",
    ),
    "mask-mismatch": About(
        "warning",
        "masks that disagree with their boxes",
        "the box and the mask of an object are learned together; here they say different things",
        "make the boxes of the masks: datakit.vision gives boxes whose end is the last pixel plus 1",
    ),
    "mask-empty": About(
        "warning",
        "masks without a pixel",
        "an object that is nowhere: its box is empty or invented",
        "drop such objects from every per-object key together",
    ),
    "mask-values": About(
        "warning",
        "masks with other values than 0 and 1",
        "a loss reads them as probabilities or as numbers of classes",
        "make them 0 and 1: one mask for each object, (mask == value)",
    ),
    "point-outside": About(
        "warning",
        "points that leave the image",
        "a model cannot see what it is asked for",
        "look at the annotation, and at whether the image was turned by its EXIF tag; leave them out of the loss",
    ),
    "identical-points": About(
        "warning",
        "points that lie on each other",
        "often a placeholder for points that nobody marked",
        "look at the annotation; leave such points out of the loss",
    ),
    "objects": About(
        "error",
        "per-object keys that do not fit together",
        "the first box goes with the first label: with different lengths they go with others, or nothing does",
        "keep boxes, labels, masks and the others of an image at one length",
    ),
    # sizes and values
    "outlier": About(
        "note",
        "sizes, durations or lengths far from the rest",
        "a very long or large record takes the memory and time of its batch; a very short one may hold nothing",
        "look at them; cut, rescale or leave them out; Loader(lengths=...) puts like lengths together",
    ),
    "drift": About(
        "warning",
        "types, shapes or ranges that differ between samples",
        "the same thing in other units or another form: batches cannot be made, or the model sees two kinds of data",
        "bring all to one form in load, or in the first transform",
    ),
    "range": About(
        "warning",
        "values outside of what their key promises",
        "a model gets inputs a hundred times too great or too small, learns slowly or not at all, and says nothing",
        "images are uint8, or floating point in 0 … 1; waveforms are in -1 … 1",
    ),
    "normalized": About(
        "warning",
        "normalised twice, or not as planned",
        "the model sees nearly constant inputs, or ones far from those that its weights were made for",
        "divide by 255 once, normalise once, with mean and std in the units of the values",
    ),
    "distorted": About(
        "warning",
        "sound that a transform distorts",
        "what is cut off is lost, and a mask that is louder than the sound is what a model hears first",
        "lower the gain; mask with the mean of the sample",
    ),
    "padding": About(
        "warning",
        "padding that looks like data",
        "a model that does not go by the lengths takes it for part of the sample, and a loss counts it",
        "pad with silence, or with a number that no token has",
    ),
    "tokens": About(
        "error",
        "tokens that no model takes as they are",
        "an embedding or a loss fails at them, on a GPU with an assertion that ends the process",
        "tokens are int64 (T,), numbers of the vocabulary they were encoded with",
    ),
    "unreadable-text": About(
        "warning",
        "text that is mostly not text",
        "a wrong encoding or a binary file: the model learns noise",
        "open the file with the encoding that it has, or leave such records out",
    ),
    "unknown-text": About(
        "warning",
        "text that is mostly unknown to the vocabulary",
        "unknown tokens are all the same to a model",
        "make the vocabulary of the same texts, with the same normalisation, or of characters instead of words",
    ),
    # code
    "impure": About(
        "error",
        "samples that change when read twice",
        "nothing can be repeated: the same seed gives another training, a crash another epoch; a Loader refuses it",
        "draw from the parameter rng, the sample's NumPy generator, or from the global ones: they follow the key",
    ),
    "generator": About(
        "warning",
        "a generator of its own",
        "every worker gets a copy and draws the same numbers, and none of them follows the key",
        "draw from the parameter rng, the sample's NumPy generator, or from the global ones: they follow the key",
    ),
    "ignores-key": About(
        "error",
        "random transforms that ignore the key",
        "they draw the same for every sample and epoch, or something that no seed repeats",
        "take a parameter rng and draw from it, and do not seed a global generator",
    ),
    "unpicklable": About(
        "warning",
        "objects that cannot be sent to a worker",
        "workers that are spawned cannot be started: on macOS and Windows, and from Python 3.14 on by default on Linux",
        "use functions of a module instead of lambdas and local functions, and open files in load",
    ),
    "memory": About(
        "warning",
        "memory that grows with workers or samples",
        "a long epoch ends with a killed worker, hours after it began",
        "keep names and numbers in datakit.Columns or NumPy arrays; do not keep samples",
    ),
    "handle": About(
        "error",
        "an open file shared by all workers",
        "workers move each other's place in the file: they read bytes of other records, sometimes without an error",
        "open files in load, or at the first read of each process",
    ),
    "chain": About(
        "error",
        "transforms that fail",
        "a training run stops there",
        "look at the record stage by stage: datakit inspect TARGET --index N",
    ),
    "batch": About(
        "error",
        "samples that make no batch",
        "a training run stops at its first batch",
        "bring all to one shape with Rescale and a crop, or give a collate_fn: collate.pad, collate.detection",
    ),
    "split-folders": About(
        "warning",
        "splits that are read as classes",
        "the model learns to tell train from test",
        "give the folder of a split, in which each class has a folder",
    ),
}
"""By name. The name is what `--ignore` and `--only` take."""
