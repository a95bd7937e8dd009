"""What a card may say about a diffusers pipeline, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from genbench.schema import Strict


class PipelineSource(Strict):
    """Where a pipeline lies, and what its images are made from."""

    hub: str | None = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
    """Its id on the Hugging Face hub, such as ``openai/diffusers-cd_imagenet64_l2``."""
    revision: str | None = Field(default=None, min_length=1)
    """The commit of `hub`, or a branch or tag, whose commit a run's digest then covers."""
    folder: str | None = None
    """A folder that the library's ``save_pretrained`` wrote, instead of `hub`."""
    variant: str | None = None
    """Which of several sets of weight files, such as ``fp16``."""
    num_classes: int | None = Field(default=None, gt=0)
    """Classes of a class-conditional pipeline; none for one that takes prompts or nothing."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.hub is None) == (self.folder is None):
            raise ValueError("give hub or folder, one of them")
        if (self.hub is None) != (self.revision is None):
            raise ValueError("hub needs a revision, and a folder has none")
        return self


class PipelineSettings(Strict):
    """Arguments of the pipeline's call by diffusers' names; what is not given is the pipeline's own default."""

    num_inference_steps: int | None = Field(default=None, ge=1)
    """Steps of the pipeline's scheduler."""
    timesteps: str | None = Field(default=None, pattern=r"^\d+(,\d+)*$")
    """A schedule of one's own, such as ``22,0``."""
    guidance_scale: float | None = Field(default=None, ge=0)
    """As the pipeline counts it."""
    negative_prompt: str | None = None
    """What guidance leads away from."""
    eta: float | None = Field(default=None, ge=0)
    """Size of the noise of schedulers that have one, such as DDIM's."""
    height: int | None = Field(default=None, gt=0)
    """Of the images, pixels."""
    width: int | None = Field(default=None, gt=0)
    """Of the images, pixels."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the weights and the arithmetic."""

    @model_validator(mode="after")
    def _one_schedule(self) -> Self:
        if self.timesteps is not None and self.num_inference_steps is not None:
            raise ValueError("give num_inference_steps or timesteps, not both")
        return self
