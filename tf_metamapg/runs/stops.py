"""What ends a run before its time."""


class RunStopped(RuntimeError):
    """A run cannot go on; the message says where it stopped and where it can be taken up."""
