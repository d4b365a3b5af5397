"""Harvesting a common stock: all that a config needs to import."""

from commons import agent  # noqa: F401
from commons import critic  # noqa: F401
from commons import estimator  # noqa: F401
from commons import game  # noqa: F401
from commons import policy  # noqa: F401
