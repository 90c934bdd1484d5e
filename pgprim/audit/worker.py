"""One job of an audit in a process of its own: `python -m pgprim.audit.worker FOLDER JOB`."""

import os
import sys
import threading

from pgprim.audit.jobs import run_job
from pgprim.types.errors import UserError


def end_with_parent() -> None:
    """End this process when standard input closes, which the audit holds open as long as it lives."""
    while os.read(0, 1024):  # not `sys.stdin`, whose lock a thread may not hold when Python ends
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    folder, name = sys.argv[1:]
    os.chdir(folder)
    try:
        run_job(name)
    except UserError as error:
        sys.exit(str(error))
