"""What `inspect --serve` runs in another process, which imports this module and so nothing of pytest."""

import os
import signal
import sys


def draw(events):
    """It imports the user's module anew."""
    sys.path.insert(0, os.getcwd())
    import own_chain

    return f"<p>{own_chain.chain_name()} {events}</p>"


def die(events):
    """As for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
