"""The sampler families that genbench carries. Nothing here imports torch; commands list families from it.

family                          what is known of a family, and what its class must offer
transformers, unets, codes      one table of families each
"""

from genbench.methods.catalog.codes import CODES
from genbench.methods.catalog.family import Family, Sampler, SamplerClass
from genbench.methods.catalog.transformers import TRANSFORMERS
from genbench.methods.catalog.unets import UNETS

PIPELINES: dict[str, Family] = {
    "diffusers": Family(
        sampler="genbench.methods.pipelines.sampler:PipelineSampler",
        network="genbench.methods.pipelines.settings:PipelineSource",
        settings="genbench.methods.pipelines.settings:PipelineSettings",
        version="1",
        files="genbench.methods.pipelines.snapshot:find_pipeline",
    ),
}

FAMILIES: dict[str, Family] = {**TRANSFORMERS, **UNETS, **CODES, **PIPELINES}

__all__ = ["FAMILIES", "Family", "Sampler", "SamplerClass"]
