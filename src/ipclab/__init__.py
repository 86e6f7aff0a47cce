"""ipclab: how Python processes can share state, measured and checked on the reader's own machine."""

import os

# The lab forks and blocks signals, so its process must have one thread; numpy's linear algebra, which the lab
# does not use, would start one for each further processor.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
