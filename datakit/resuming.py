"""What a state of a loader must be before the stream goes on from it."""

from __future__ import annotations

from typing import Any

from datakit.errors import StateError

STATE_VERSION = 1


def check_state(state: Any, own: dict[str, Any], length: int | None, records: str) -> None:
    """Raise `StateError`, saying what differs, unless `state` is of the same stream as `own`.

    Args:
        state: what was saved.
        own: the present state of the loader that shall go on from it.
        length: records of its dataset; None for a stream.
        records: the dataset, for the message.
    """
    if not isinstance(state, dict):
        raise StateError(f"a state of a Loader is a dict, got {type(state).__name__}")
    if missing := sorted(own.keys() - state.keys()):
        raise StateError(f"this is no state of a Loader: it has no {', '.join(missing)}")
    for field in ("version", "length", "fingerprint", "shuffle", "groups", "lengths"):
        if state[field] != own[field]:
            raise StateError(
                f"the state is of another stream: its {field} is {state[field]!r}, that of this loader over "
                f"{records} is {own[field]!r}"
            )
    for field in ("seed", "epoch", "samples", "block"):
        if not isinstance(state[field], int) or (field != "seed" and not state[field] >= (field == "block")):
            raise StateError(f"the state is damaged: its {field} is {state[field]!r}")
    if length is not None and state["samples"] > length:
        raise StateError(f"the state is damaged: its samples are {state['samples']} of {length}")
