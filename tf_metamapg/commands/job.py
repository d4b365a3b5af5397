"""A command as a job of another: python -m tf_metamapg.commands.job CORES COMMAND ARGUMENTS; see `jobs.py`.

It keeps to some cores, such as 0,2, and ends when the process that has started it does, however that ends.
"""

import os
import signal
import sys
import threading

from tf_metamapg.commands import cores
import tf_metamapg_commands


def _end_with_starter():
    # Nobody writes there; it is closed when that process ends.
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _main():
    own_cores, command = sys.argv[1:3]
    del sys.argv[1:3]
    cores.keep_to(own_cores)
    threading.Thread(target=_end_with_starter, daemon=True).start()
    sys.exit(getattr(tf_metamapg_commands, command)())


if __name__ == "__main__":
    _main()
