"""What a person looks at in TensorBoard, one call each: functions that take a `SummaryWriter` first.

`writer` makes one, and says what to install where TensorBoard is absent. A loss needs no help: `writer.add_scalar`.

Examples:
    >>> import datakit
    >>> from datakit.report import tensorboard
    >>> faces = datakit.vision.FaceLandmarks.synthetic(n=8)
    >>> with tensorboard.writer("runs/faces") as writer:
    ...     tensorboard.images(writer, faces, samples=4)
    ...     tensorboard.embedding(writer, faces, n=8)
"""

from datakit.report.tensorboard.curves import precision_recall
from datakit.report.tensorboard.model_graph import graph
from datakit.report.tensorboard.pictures import images, predictions, stages
from datakit.report.tensorboard.projector import embedding
from datakit.report.tensorboard.run import inspection, survey
from datakit.report.tensorboard.writing import require, writer

__all__ = [
    "embedding",
    "graph",
    "images",
    "inspection",
    "precision_recall",
    "predictions",
    "require",
    "stages",
    "survey",
    "writer",
]
