"""One pass over a `Loader`: what arrives from the workers, and whether they live."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, NoReturn

from torch.utils.data._utils import signal_handling
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from datakit.delivery import Packet
from datakit.errors import StateError, WorkerError

if TYPE_CHECKING:
    from datakit.loader import Loader

_CUT_OFF = (OSError, EOFError, UnpicklingError)  # what it looks like when a worker dies while it sends
_SHOWN = 40  # record numbers in a message


class Pass(Iterator[Any]):
    """Unpacks what the workers send and tells the loader what the training loop has received. An error ends it."""

    def __init__(self, loader: Loader, packets: Iterator[Packet], number: int, epoch: int, start: int) -> None:
        self.loader, self.packets, self.number, self.epoch, self.start = loader, packets, number, epoch, start
        self.size = int(loader.batch_size or 1)
        keys = loader.keys
        mine = range(start + keys.rank, keys.end(start), keys.world_size)
        self.total, self.steps = math.ceil(len(mine) / self.size), 0
        self.error = ""

    def __len__(self) -> int:
        return self.total

    def __next__(self) -> Any:
        if self.error:
            raise WorkerError(f"this pass ended with an error after {self._done()} batches: {self.error}")
        try:
            return self._next_batch()
        except StopIteration:
            raise
        except Exception as error:
            self._close(error)
            raise

    def _done(self) -> str:
        return f"{self.steps} of {self.total}"

    def _next_batch(self) -> Any:
        while True:
            packet = self._next_packet()
            if packet.error is not None:
                raise packet.error
            self.loader.count(packet.failures)
            self.steps += 1
            self.loader.received(self, self.steps, is_end=packet.length is not None)
            if packet.batch is not None:
                return packet.batch

    def _next_packet(self) -> Packet:
        try:
            return next(self.packets)
        except StopIteration:
            if self.steps != self.total:
                raise WorkerError(f"the epoch ended after {self.steps} of {self.total} batches") from None
            self.loader.received(self, self.steps, is_end=True)
            raise
        except (RuntimeError, *_CUT_OFF) as error:
            what = "a worker died" if isinstance(error, _CUT_OFF) else "the workers failed"
            raise WorkerError(f"{what}: {error}\n{self._outstanding()}") from error

    def _outstanding(self) -> str:
        """Which records the workers were asked for and have not delivered; one of them is the likely cause."""
        ahead = self.loader.num_workers * (self.loader.prefetch_factor or 1)
        mine = self.loader.keys.share(self.epoch, self.start)
        due = list(mine[self.steps * self.size : (self.steps + max(ahead, 1)) * self.size])
        more = f" and {len(due) - _SHOWN} more" if len(due) > _SHOWN else ""
        return (
            f"asked for and not delivered, from batch {self.steps} of epoch {self.epoch} on: records "
            f"{', '.join(map(str, due[:_SHOWN]))}{more} of {self.loader.records!r}"
        )

    def _close(self, error: Exception) -> None:
        self.error = f"{type(error).__name__}: {error}"
        if isinstance(self.packets, Workers):
            self.packets.stop()
        self.loader._iterator = None  # or a loader with persistent workers would go on with these


class StreamPass(Pass):
    """A pass over a stream: it ends where the last batch says so."""

    def __init__(self, loader: Loader, packets: Iterator[Packet], number: int, epoch: int, start: int) -> None:
        super().__init__(loader, packets, number, epoch, start)
        self.length: int | None = None

    def __len__(self) -> NoReturn:
        raise TypeError("a stream has no length: it ends when it ends")

    def _done(self) -> str:
        return str(self.steps)

    def _next_packet(self) -> Packet:
        if self.length is not None:
            if isinstance(self.packets, Workers) and not self.loader.persistent_workers:
                self.packets.finish()
            raise StopIteration
        packet = super()._next_packet()
        self.length = packet.length
        if self.length is not None and self.start and self.length <= self.start:
            raise StateError(
                f"the stream ended after {self.length} records of epoch {self.epoch}, where the state that was loaded "
                f"is at {self.start}: it is of another stream, or of one with more records"
            )
        return packet


class Workers(_MultiProcessingDataLoaderIter):
    """Asks every second whether the workers live.

    torch asks only when its timeout is over, and without one waits for a hung worker for ever.

    Args:
        loader: the loader that is iterated.
        patience: seconds without any batch after which the workers count as hung.
    """

    def __init__(self, loader: Loader, patience: float) -> None:
        self.patience, self.since = patience, time.monotonic()
        self._shutdown = True  # nothing to end yet, should Ctrl-C come before there are workers
        super().__init__(loader)

    def _get_data(self) -> Any:
        self.since = time.monotonic()
        return super()._get_data()  # type: ignore[no-untyped-call]

    def _try_get_data(self, timeout: float = 1.0) -> tuple[bool, Any]:
        found: tuple[bool, Any] = super()._try_get_data(min(timeout, self.patience, 1.0))  # type: ignore[no-untyped-call]
        if not found[0] and time.monotonic() - self.since > self.patience:
            raise RuntimeError(f"the workers sent nothing for {self.patience:g} seconds")
        return found

    def finish(self) -> None:
        """End the workers as after the last batch."""
        self._shutdown_workers()

    def stop(self) -> None:
        """End the workers at once; a hung one would not hear anything milder."""
        self._abandon()
        self._shutdown_workers()

    def _shutdown_workers(self) -> None:
        if not self._shutdown and any(worker.exitcode for worker in self._workers):
            self._abandon()
        super()._shutdown_workers()

    def _abandon(self) -> None:
        """Kill the workers, and let go of the event that they share: a killed one may hold its lock for ever."""
        if self._shutdown:
            return
        if self._worker_pids_set:
            signal_handling._remove_worker_pids(id(self))  # type: ignore[attr-defined]
            self._worker_pids_set = False
        for worker in self._workers:
            worker.kill()
        self._workers_done_event = threading.Event()  # type: ignore[assignment]
