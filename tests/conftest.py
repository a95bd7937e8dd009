"""Property tests draw the same examples in every run, and may take their time on a busy machine."""

from hypothesis import settings

settings.register_profile("genbench", derandomize=True, deadline=None)
settings.load_profile("genbench")
