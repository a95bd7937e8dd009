"""FlexVAR against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.methods.flexvar.network import FlexVAR
from genbench.methods.flexvar.sampler import FlexVARSampler
from genbench.methods.flexvar.settings import FlexVARSettings
from genbench.methods.llamagen.quantiser import CodebookTokenizer
from genbench.methods.llamagen.vectors import recorded_tokenizer, replay_tokenizer
from genbench.methods.var.settings import VARNetwork
from genbench.methods.var.vectors import replay_run, series
from genbench.methods.vectors import Comparison, Vectors, compare
from genbench.schema import check


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """The tokenizer both ways, the transformer's logits of all scales, and every sampler run."""
    tokenizer, forward, recorded = recorded_tokenizer(vectors), vectors.tensors("forward"), vectors.tensors("sampler")
    yield from replay_tokenizer(tokenizer, forward)
    state = vectors.tensors("transformer")
    yield _transformer(_sampler(vectors, {}, state, tokenizer).network, forward)
    for run in vectors.json("sampler.json")["runs"]:
        sampler = _sampler(vectors, _settings(run), state, tokenizer)
        yield replay_run(run, sampler, series(f"{run['name']}/idx", recorded), recorded)


@torch.inference_mode()
def _transformer(model: FlexVAR, forward: Mapping[str, Tensor]) -> Comparison:
    logits = model(forward["label_B"], forward["x_BLCv_wo_first_l"])
    return compare("logits_BLV", logits, forward["logits_BLV"])


def _settings(run: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them; the authors switch top-p off by 0."""
    return {
        "cfg": run["cfg"],
        "ramp": not run["used_llamagen_cfg"],
        "top_k": run["top_k"],
        "top_p": run["top_p"] or 1.0,
        "infer_patch_nums": "_".join(map(str, run["infer_patch_nums"])),
        "max_pn": run["max_pn"],
    }


def _sampler(
    vectors: Vectors, settings: Mapping[str, Any], state: dict[str, Tensor], tokenizer: CodebookTokenizer
) -> FlexVARSampler:
    codes = {"vocab_size": tokenizer.codebook_size, "code_channels": tokenizer.quantiser.embedding.embedding_dim}
    given = {key: value for key, value in vectors.config["flexvar_args"].items() if key in VARNetwork.model_fields}
    return FlexVARSampler(
        network=check(VARNetwork, given | codes, f"{vectors.folder / 'config.json'}: flexvar_args").model_dump(),
        settings=check(FlexVARSettings, settings, str(vectors.folder / "sampler.json")),
        state=state,
        device=torch.device("cpu"),
        tokenizer=tokenizer,
    )
