"""Images from a diffusers pipeline, one generator an image."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genbench.errors import ConfigError, UsageError, WeightsError
from genbench.methods.networks import check_labels
from genbench.methods.noise import Noise
from genbench.methods.pipelines.settings import PipelineSettings
from genbench.methods.pipelines.snapshot import INDEX, pipeline_class

_DENOISERS = ("transformer", "unet")
"""Components of a pipeline whose calls are counted, the first that it has."""
_UNASKED = ("safety_checker", "watermarker")
"""Components that would replace or mark images; left out."""


class PipelineSampler:
    """A pipeline with one preset. See `PipelineSource` and `PipelineSettings`.

    Raises `WeightsError` for files that diffusers cannot load, and `ConfigError` for settings that the pipeline does
    not take, and for a pipeline that needs classes where the card names none.
    """

    def __init__(
        self,
        *,
        network: Mapping[str, Any],
        settings: PipelineSettings,
        state: dict[str, Tensor] | None,
        device: torch.device,
        folder: Path,
    ) -> None:
        self.pipeline = _load(folder, network.get("variant")).to(device, getattr(torch, settings.dtype))
        self.pipeline.set_progress_bar_config(disable=True)
        self._classes: int | None = network.get("num_classes")
        self._takes = inspect.signature(self.pipeline.__call__).parameters
        self._denoiser = next((n for name in _DENOISERS if (n := getattr(self.pipeline, name, None))), None)
        self._check_classes()
        self._arguments = self._checked(settings)
        networks = [part for part in self.pipeline.components.values() if isinstance(part, nn.Module)]
        self.parameters = sum(parameter.numel() for part in networks for parameter in part.parameters())
        self.nfe: float | None = None

    @property
    def prompted(self) -> bool:
        """Whether images are made from prompts."""
        return "prompt" in self._takes

    def sample(self, noise: Noise, labels: Tensor) -> Tensor:
        """One image for each of the N generators and labels (N,): float32 (N, 3, H, W) in [-1, 1].

        Raises `UsageError` for a label outside the classes, and for a pipeline that takes prompts.
        """
        if self.prompted:
            raise UsageError(
                f"{type(self.pipeline).__name__} makes images from prompts, and there are none",
                hint="run a suite that names a file of prompts, and set prompted = true in the card",
            )
        if self._classes is None:
            return self._images(noise, {})
        check_labels(labels, self._classes)
        return self._images(noise, {"class_labels": labels.tolist()})

    def sample_prompts(self, noise: Noise, prompts: Sequence[str]) -> Tensor:
        """One image for each of the N generators and prompts: float32 (N, 3, H, W) in [-1, 1].

        Raises `UsageError` for a pipeline that takes no prompts.
        """
        if not self.prompted:
            raise UsageError(f"{type(self.pipeline).__name__} takes no prompts", hint="leave prompted out of the card")
        return self._images(noise, {"prompt": list(prompts)})

    @torch.inference_mode()
    def _images(self, noise: Noise, condition: dict[str, Any]) -> Tensor:
        calls = 0

        def count(*_: object) -> None:
            nonlocal calls
            calls += 1

        if "batch_size" in self._takes:
            condition["batch_size"] = len(noise)
        hook = self._denoiser.register_forward_hook(count) if self._denoiser is not None else None
        try:
            given = {**self._arguments, **condition}
            images = self.pipeline(**given, generator=noise.generators(), output_type="np").images
        finally:
            if hook is not None:
                hook.remove()
        self.nfe = calls if hook is not None else None
        pixels = torch.from_numpy(np.asarray(images, dtype=np.float32)).permute(0, 3, 1, 2)
        return 2 * pixels - 1

    def _checked(self, settings: PipelineSettings) -> dict[str, Any]:
        """The call's arguments."""
        kind = type(self.pipeline).__name__
        arguments = settings.model_dump(exclude={"dtype"}, exclude_none=True)
        for name in arguments:
            if name not in self._takes:
                known = [field for field in PipelineSettings.model_fields if field in self._takes]
                raise ConfigError(f"{kind} takes no {name}", hint=f"it takes {', '.join(known) or 'no settings'}")
        if settings.timesteps is not None:
            steps = [int(step) for step in settings.timesteps.split(",")]
            arguments |= {"timesteps": steps, "num_inference_steps": None}
        return arguments

    def _check_classes(self) -> None:
        """A conditional network that is given no labels would get some from the global generator."""
        kind, labels = type(self.pipeline).__name__, self._takes.get("class_labels")
        place = "[variants.<name>.network]"
        if labels is None:
            if self._classes is not None:
                raise ConfigError(f"{kind} takes no classes", hint=f"leave num_classes out of {place}")
            return
        if labels.default is inspect.Parameter.empty and self._classes is None:
            raise ConfigError(f"{kind} needs classes", hint=f"set num_classes under {place}")
        known = getattr(self._denoiser, "config", {}).get("num_class_embeds", self._classes)
        if known != self._classes:
            raise ConfigError(
                f"{kind}: the network has {known or 'no'} classes, the card says {self._classes or 'none'}",
                hint=f"set num_classes under {place} to {known}" if known else f"leave num_classes out of {place}",
            )


def _load(folder: Path, variant: str | None) -> Any:
    pipeline = pipeline_class()
    try:
        parts = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        unasked: dict[str, Any] = {name: None for name in _UNASKED if name in parts}
        if "requires_safety_checker" in parts:
            unasked["requires_safety_checker"] = False
        loaded = pipeline.from_pretrained(folder, variant=variant, local_files_only=True, **unasked)
    except (OSError, ValueError, AttributeError, ImportError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(
            f"{folder}: diffusers cannot load this pipeline ({reason})",
            hint='pip install "genbench[pipelines]" for its libraries, or fetch the files again',
        ) from error
    if hasattr(loaded, "watermark"):  # SDXL's, which marks images where the package for it is installed
        loaded.watermark = None
    if hasattr(loaded, "vae") and hasattr(loaded.vae, "enable_slicing"):
        loaded.vae.enable_slicing()  # one image at a time: a batch of latents fits where its decoding would not
    return loaded
