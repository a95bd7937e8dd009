"""RCG's diffusion model of representations with the official keys (Li et al., arXiv:2312.03701, section 3)."""

from __future__ import annotations

from torch import Tensor, nn

from genbench.methods.transformer.embeddings import sinusoids
from genbench.methods.transformer.lookup import lookup_table

_AVERAGE = "model_ema."


def _projection(inside: int, outside: int) -> nn.Sequential:
    """Of what is added to a block: SiLU, then Linear."""
    return nn.Sequential(nn.SiLU(), nn.Linear(inside, outside))


class _ResidualBlock(nn.Module):
    """Norm, SiLU, Linear, the time and the class, norm, SiLU, Linear."""

    def __init__(self, width: int, hidden: int, time: int, context: int | None) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, hidden))
        self.emb_layers = _projection(time, hidden)
        dropout = nn.Identity()  # what the authors train with; it keeps the last layer's number
        self.out_layers = nn.Sequential(nn.LayerNorm(hidden), nn.SiLU(), dropout, nn.Linear(hidden, width))
        self.context_layers = _projection(context, hidden) if context else None

    def forward(self, x: Tensor, time: Tensor, context: Tensor | None) -> Tensor:
        """Rows (N, width), embeddings of the time and of the class => rows."""
        h = self.in_layers(x) + self.emb_layers(time)
        if self.context_layers is not None:
            h = h + self.context_layers(context)
        return x + self.out_layers(h)  # type: ignore[no-any-return]


class SimpleMLP(nn.Module):
    """The denoiser: residual blocks on a vector. Arguments are those of `RDM`; the context's width is none without."""

    def __init__(self, channels: int, time: int, width: int, hidden: int, depth: int, context: int | None) -> None:
        super().__init__()
        self.width = width
        self.time_embed = nn.Sequential(nn.Linear(width, time), nn.SiLU(), nn.Linear(time, time))
        self.input_proj = nn.Linear(channels, width)
        self.res_blocks = nn.ModuleList(_ResidualBlock(width, hidden, time, context) for _ in range(depth))
        self.out = nn.Sequential(nn.LayerNorm(width, eps=1e-6), nn.SiLU(), nn.Linear(width, channels))

    def forward(self, x: Tensor, t: Tensor, context: Tensor | None) -> Tensor:
        """Vectors (N, C), training steps (N,), embeddings of classes (N, context) => (N, C)."""
        time = self.time_embed(sinusoids(t, self.width))
        x = self.input_proj(x)
        for block in self.res_blocks:
            x = block(x, time, context)
        return self.out(x)  # type: ignore[no-any-return]


class RDM(nn.Module):
    """The denoiser and, where it has classes, their embeddings. Argument names are those of the official configuration.

    Args:
        in_channels: C of a representation.
        time_embed_dim: width of the time's embedding.
        model_channels: width of a block's rows.
        bottleneck_channels: width inside of a block.
        num_res_blocks: number of blocks.
        n_classes: classes; none for a model that knows none.
        context_channels: width of a class's embedding.
        linear_start: the first β of training.
        linear_end: the last one.
    """

    def __init__(
        self,
        *,
        in_channels: int = 256,
        time_embed_dim: int = 256,
        model_channels: int = 1536,
        bottleneck_channels: int = 1536,
        num_res_blocks: int = 12,
        n_classes: int | None = None,
        context_channels: int = 512,
        linear_start: float = 0.0015,
        linear_end: float = 0.0195,
    ) -> None:
        super().__init__()
        self.channels = in_channels
        self.n_classes = n_classes
        self.betas = (linear_start, linear_end)
        context = context_channels if n_classes else None
        denoiser = SimpleMLP(in_channels, time_embed_dim, model_channels, bottleneck_channels, num_res_blocks, context)
        self.model = nn.ModuleDict({"diffusion_model": denoiser})
        if n_classes:
            self.cond_stage_model = nn.ModuleDict({"embedding": lookup_table(n_classes, context_channels)})

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """The estimate of the data (N, C), of noisy x (N, C) at training steps t (N,), for labels (N,) if any count."""
        context = self.cond_stage_model["embedding"](labels) if self.n_classes else None
        return self.model["diffusion_model"](x, t, context)  # type: ignore[no-any-return]


def averaged(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of the authors' checkpoint, the denoiser and the classes' embeddings.

    The denoiser is its moving average where the file keeps one: under ``model_ema.``, its names without their points.
    What an average lacks is left out. The embeddings are of the last step of training.
    """
    found = {key: value for key, value in state.items() if key.startswith(("model.", "cond_stage_model."))}
    averages = {key.removeprefix(_AVERAGE): value for key, value in state.items() if key.startswith(_AVERAGE)}
    if not averages:
        return found
    names = {key: key.removeprefix("model.").replace(".", "") for key in found if key.startswith("model.")}
    embeddings = {key: value for key, value in found.items() if key not in names}
    return embeddings | {key: averages[name] for key, name in names.items() if name in averages}
