"""What is said about each kind of trouble, and what may be done about it."""

from __future__ import annotations

from dataclasses import dataclass

from datakit.inspection.trouble import Kind


@dataclass(frozen=True)
class Words:
    """Of one kind.

    Attributes:
        text: one sentence, with the fields of a `Trouble` and `where` and `who` to be filled in.
        hint: what may be done where a transform brought it about.
        in_data: what may be done where it was so as loaded; as `hint` where empty.
        always: whether it counts only where every sample has it: it follows from the code, not from a dark picture.
    """

    text: str
    hint: str
    in_data: str = ""
    always: bool = False


_COUNTED = "{count} of the {of} {key} in {who}"

WORDS: dict[Kind, Words] = {
    "not finite": Words(
        "{key} has {count} values that are not finite {where}, in {who}",
        "look for a division by 0, or the logarithm of 0, in that transform",
        "look at the file or its annotation; leave such records or points out before the loss becomes NaN",
    ),
    "bytes": Words(
        "{key} is floating point from {low} to {high} {where}, in {who}: still 0 … 255, not 0 … 1",
        "divide by 255: ToTensor does that to a uint8 image, and not to one that is floating point already",
    ),
    "range": Words(
        "{key} goes from {low} to {high} {where}, in {who}: outside 0 … 1, with no Normalize",
        "all is well if that is a normalisation of your own; else look at what this transform does to the values",
        "all is well if the dataset normalises by itself; else scale the values to 0 … 1",
    ),
    "twice": Words(
        "{key} is at most {high} {where}, in {who}: it looks divided by 255 twice",
        "divide once: ToTensor divides a uint8 image by 255 itself",
    ),
    "far": Words(
        "{key} goes from {low} to {high} {where}, in {who}: normalised values lie within about -3 … 3",
        "check mean and std of Normalize, and that the image before it is in 0 … 1",
    ),
    "statistics": Words(
        "{key} goes from {low} to {high} {where}, in {who}: mean and std are as for 0 … 255, the image was in 0 … 1",
        "divide the mean and std by 255",
        always=True,
    ),
    "constant": Words(
        "{key} has the same value in every pixel {where}, in {who}; as loaded it had not",
        "that transform wiped out the picture: look at it stage by stage on the page",
    ),
    "silent": Words(
        "{key} has one value only {where}, in {who}: there is nothing to hear",
        "look at what this transform does: a gain of 0, or a cut outside the sound",
        "listen to the file; leave such records out, or cut silence off",
    ),
    "clipped": Words(
        "{key} is cut off at ±1 {where}, in {who}: {count} of {of} steps stand there",
        "lower the gain; what is cut off sounds distorted",
    ),
    "loud mask": Words(
        "the mask of {key} is 0 {where}, in {who}, louder than nearly all values, {low} to {high}",
        "value=None masks with the mean of the sample; or mask before the logarithm",
    ),
    "loud": Words(
        "{key} goes from {low} to {high} {where}, in {who}: outside -1 … 1",
        "lower the gain, or clip; all is well if that is a normalisation of your own",
        "divide by the greatest value of the sample format, 32768 for 16 bits",
    ),
    "label": Words(
        "{count} of the {of} values of {key} in {who} are outside the {detail} classes {where}: from {low} to {high}",
        "classes count from 0 to their number less 1; a loss on the GPU ends with an assertion for any other",
    ),
    "masks": Words(
        "{key} go from {low} to {high} {where}, with other values than 0 and 1, in {who}",
        "resample masks by the nearest pixel, not by blending, or threshold them after that",
        "make them 0 and 1: one mask for each object, (mask == value)",
    ),
    "outside": Words(
        _COUNTED + " lie outside the image {where}",
        "does this transform move the {key} with the image?",
        "they are so in the data: look at the annotation, and at whether the image was turned by its EXIF tag",
    ),
    "empty": Words(
        _COUNTED + " are empty or inverted (x2 <= x1 or y2 <= y1) {where}",
        "drop such objects from every per-object key, as the crops of datakit do, and order corners after a flip",
        "boxes are x1, y1, x2, y2; if these are x, y, width, height, add the corner",
    ),
    "lengths": Words(
        "per-object keys differ in length {where}, in {who}: {detail}",
        "drop and keep objects in all of them together",
    ),
    "unlabelled": Words(
        "{key} come without labels {where}, in {who}",
        "detectors need labels (N,) int64, one for each box",
    ),
    "no text": Words(
        "{key} is empty {where}, in {who}",
        "this transform leaves nothing of it; leave such records out before the chain",
        "leave such records out: there is nothing to learn from",
    ),
    "no tokens": Words(
        "{key} has no tokens {where}, in {who}",
        "a sequence of no steps cannot be packed; leave such records out, or put AddSpecials behind Encode",
    ),
    "token type": Words(
        "{key} is {detail} {where}, in {who}, not int64 (T,)",
        "nn.Embedding and the cross entropy take int64: torch.tensor(numbers, dtype=torch.int64)",
    ),
    "no number": Words(
        "{count} of {of} {key} in {who} are no numbers of the vocabulary of {detail} {where}: from {low} to {high}",
        "an embedding fails there, on the GPU with an assertion; was it encoded with another vocabulary?",
    ),
    "pad inside": Words(
        "{key} has the number of the padding, {low}, {count} times between other tokens {where}, in {who}",
        "a model that masks padding does not see them; give the vocabulary a special token for padding alone",
    ),
    "no shift": Words(
        "{key} is the same as tokens {where}, in {who}: the target is the input",
        "a language model learns to copy: NextTokens() shifts the target by one. All is well for an autoencoder",
        always=True,
    ),
    "flat": Words(
        "{key} has the same value in every pixel {where}, in {who}",
        "look at the files; leave such records out",
    ),
    "no values": Words(
        "{key} has no values {where}, in {who}: its shape is {detail}",
        "leave such records out",
    ),
    "same points": Words(
        "{count} of the {of} {key} in {who} lie on another one {where}",
        "all is well where points may meet, such as those of closed lips; else look at the annotation",
    ),
    "one point": Words(
        "all {key} lie on one point {where}, in {who}",
        "a placeholder for points that nobody marked? Leave such records out",
    ),
    "same boxes": Words(
        "{count} of the {of} {key} in {who} are those of another object of the same label {where}",
        "drop the copies from every per-object key together",
    ),
    "other box": Words(
        "{count} of the {of} {key} in {who} end up to {high} pixels away from their boxes {where}",
        "make the boxes of the masks; a box ends at the last pixel plus 1",
    ),
    "no pixels": Words(
        "{count} of the {of} {key} in {who} have no pixel {where}",
        "drop such objects from every per-object key together",
    ),
    "not text": Words(
        "{key} is mostly control characters or replacement signs {where}, in {who}: {count} of {of} characters",
        "open the file with the encoding that it has, or leave such records out",
    ),
}
"""What is said about each kind."""

CROP = "normal for a crop, which cuts them off; leave them out of the loss, or crop less"
"""The hint for what lies outside after a crop."""
