"""What `datakit inspect` saw, as a run of TensorBoard."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from datakit.inspection.batch import split
from datakit.inspection.look import Inspection
from datakit.inspection.normalize import BATCH
from datakit.inspection.picture import image_in
from datakit.inspection.survey import Survey
from datakit.phrasing import number
from datakit.report.contact_sheet import batch_sheet, epoch_sheet, stage_sheet
from datakit.report.survey_view import view_of
from datakit.report.tensorboard.pictures import add_picture, add_sounds, add_texts
from datakit.report.tensorboard.projector import Seen, add_points
from datakit.report.tensorboard.writing import writer as open_writer
from datakit.report.text.batch import written_batch

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_POINTS = 3  # fewer have no shape to look at


def write_run(folder: Path, seen: Inspection) -> None:
    """What `inspection` writes, as a run that is there whole or not at all.

    Args:
        folder: of the run; there is nothing, or nothing in it.
        seen: what was inspected.

    Raises:
        DatakitError: where TensorBoard is not installed.
        OSError: where the folder cannot be written.
    """
    final = folder.absolute()
    draft = final.with_name(f".{final.name}.{os.getpid()}.part")
    try:
        with open_writer(draft) as writer:
            inspection(writer, seen)
        os.replace(draft, final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def inspection(writer: SummaryWriter, seen: Inspection) -> None:
    """The batch, samples stage by stage, one of them in other epochs, the figures, and what is worth a look.

    Waveforms can be listened to and texts read, as loaded and after each transform that changed them. Points of the
    projector are the samples and those of the batch that are not among them.

    Args:
        writer: of the run.
        seen: what `datakit.inspection.look.look` gave; `datakit.show(…).inspection` is one too.

    Examples:
        >>> import datakit
        >>> from datakit.report import tensorboard
        >>> faces = datakit.vision.FaceLandmarks.synthetic(n=4)
        >>> with tensorboard.writer("runs/inspection") as writer:
        ...     tensorboard.inspection(writer, datakit.show(faces, samples=2).inspection)
    """
    writer.add_text("what was inspected", _about(seen))
    points = _points(seen)
    if (picture := batch_sheet(seen)) is not None:
        add_picture(writer, "batch" if split(seen.batch) or written_batch(seen) else "samples", picture, 0)
    for sample in seen.samples:
        if sample.stages and (picture := stage_sheet(sample, seen)) is not None:
            add_picture(writer, f"stages/{sample.key.index}", picture, 0)
        add_sounds(writer, sample)
        add_texts(writer, sample, seen)
    if seen.draws and (picture := epoch_sheet(seen.draws, seen)) is not None:
        add_picture(writer, f"epochs/{seen.draws[0].key.index}", picture, 0)
    if len(points) >= _POINTS:
        add_points(writer, points, len(points), classes=seen.classes)
    if seen.survey is not None:
        survey(writer, seen.survey)


def survey(writer: SummaryWriter, found: Survey, *, step: int = 0) -> None:
    """The figures of a dataset: mean and std of each channel as scalars, sizes and class counts as tables.

    Args:
        writer: of the run.
        found: such as `datakit.inspection.surveying.survey(dataset)` gives. Scalars are of [0, 1] values:
            `channel mean/red`, `channel std/red` …
        step: of the training.

    Examples:
        >>> import datakit
        >>> from datakit.inspection.surveying import survey
        >>> from datakit.report import tensorboard
        >>> faces = datakit.vision.FaceLandmarks.synthetic(n=8)
        >>> with tensorboard.writer("runs/survey") as writer:
        ...     tensorboard.survey(writer, survey(faces))
    """
    view = view_of(found)
    if view is None:
        return
    for name, mean, std in view.channels:
        writer.add_scalar(f"channel mean/{name}", mean, step)
        writer.add_scalar(f"channel std/{name}", std, step)
    if found.channels is not None:
        writer.add_text("figures/channels", f"`{found.channels.line}`", step)
    if view.sizes is not None:
        rows = [[name, *map(number, values)] for name, *values in view.sizes.rows]
        writer.add_text("figures/image sizes", _table(["pixels", "min", "median", "max"], rows), step)
    if view.texts is not None:
        lengths = [[one.key, one.unit, *map(number, one.values)] for one in view.texts.lengths]
        writer.add_text("figures/lengths", _table(["key", "unit", "min", "median", "max"], lengths), step)
        shares = [[one.key, f"{one.special_share:.1%}", f"{one.unknown_share:.1%}"] for one in view.texts.tokens]
        if shares:
            writer.add_text("figures/tokens", _table(["key", "special", "unknown"], shares), step)
    if view.classes is not None:
        listed = [*view.classes.first, *view.classes.folded]
        counts = [[row.name, number(row.count), f"{row.share:.1%}"] for row in listed]
        writer.add_text("figures/classes", _table(["class", "count", "share"], counts), step)


def _points(seen: Inspection) -> list[Seen]:
    """The last stage of every sample, then what else is in the batch."""
    last = [sample for sample in seen.samples if sample.stages and sample.error is None]
    points: list[Seen] = [
        (sample.stages[-1].sample, seen.normalized_by([stage.name for stage in sample.stages])) for sample in last
    ]
    known = {sample.key.index for sample in last}
    normalize = seen.normalized_by(["loaded", *seen.chain, BATCH])
    points += [(sample, normalize) for sample in split(seen.batch) if sample.get("index") not in known]
    return [(sample, undo) for sample, undo in points if image_in(sample) is not None]


def _about(seen: Inspection) -> str:
    """Markdown."""
    found = [f"- {finding.text}" + (f" ({finding.hint})" if finding.hint else "") for finding in seen.findings]
    lines = [f"`{seen.dataset}`", f"chain: `{' → '.join(seen.chain)}`" if seen.chain else "", f"seed: {seen.seed}"]
    errors = [f"- error: {error}" for error in seen.errors]
    return "\n\n".join(filter(None, [*lines, "\n".join(errors), "\n".join(found)]))


def _table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
