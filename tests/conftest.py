"""Property tests draw the same examples in every run, and may take their time on a busy machine."""

import os

from hypothesis import settings

settings.register_profile("genbench", derandomize=True, deadline=None)
settings.load_profile("genbench")

# Workers share the cores, and torch, which is not imported yet, would take them all.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
