"""Property tests draw the same examples in every run, and may take their time on a busy machine."""

import os
import signal

import pytest
from hypothesis import settings

settings.register_profile("genbench", derandomize=True, deadline=None)
settings.load_profile("genbench")

# Workers share the cores, and torch, which is not imported yet, would take them all.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# What a shell starts in the background ignores SIGINT, and so would every program that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of `tests/torture` and `tests/fuzz`; pytest takes them from here alone."""
    parser.addoption("--torture-kills", type=int, default=6, help="moments at which a run is killed, of each kind")
    parser.addoption("--fuzz", type=int, default=1500, help="malformed inputs, of all kinds together")
    parser.addoption("--fuzz-seed", type=int, default=0, help="names another set of malformed inputs")
