"""Where shards are made: in this process, in the ranks of torchrun, or on a Ray cluster. The shards are the same."""

from typing import Literal

EngineName = Literal["local", "torchrun", "ray"]
