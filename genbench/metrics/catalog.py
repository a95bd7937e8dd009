"""Names of metrics: ``statistic@space``, and the field's short names for some of them.

This module imports neither NumPy nor torch; commands list metrics from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal

from genbench.errors import UsageError, unknown
from genbench.metrics.balls import IMPROVED, PRDC, Balls

Direction = Literal["lower", "higher"]
Need = Literal[
    "moments", "features", "held-out moments", "held-out features", "labels", "reference labels", "originals", "prompts"
]


@dataclass(frozen=True)
class Statistic:
    """An estimator that can be computed in any feature space."""

    name: str
    version: int
    """Raised whenever the same features would give another value; leaderboards never mix versions."""
    direction: Direction
    """Which values are better."""
    needs: frozenset[Need]
    """What the features are measured with: nothing, the reference's moments or features, those of held-out real images,
    classes, the classes of the reference, the originals or the prompts that images were made from."""
    title: str
    source: str
    """The paper that defines it."""
    stderr: str
    """What its standard error is. In every case the reference is taken as fixed."""
    entry: str
    """``module:function``, of type `Comparison -> Measurement`; imported when first measured."""
    home: str = "inception-tf"
    """The space that its paper or its peers measure it in."""
    balls: Balls | None = None
    """The neighbour balls that it reads; statistics of one space share one sweep over all pairs."""
    layer: str | None = None
    """The layer that a space must be of, where the arithmetic makes sense in no other."""
    joint: bool = False
    """Whether it may be taken over several spaces together; `entry` is then of type
    `Sequence[Comparison] -> Measurement`."""

    def load(self) -> Callable[..., Any]:
        """Import and return the function that `entry` names."""
        module, _, function = self.entry.partition(":")
        loaded: Callable[..., Any] = getattr(import_module(module), function)
        return loaded


@dataclass(frozen=True)
class Metric:
    """A statistic in a feature space, or over several."""

    statistic: Statistic
    space: str
    """The space's name; those of several joined by ``+``."""

    def __post_init__(self) -> None:
        if len(self.spaces) > 1 and not self.statistic.joint:
            raise UsageError(
                f"{self.statistic.name} is of one space, not of {len(self.spaces)} together",
                hint=f"for example {self.statistic.name}@{self.spaces[0]}",
            )
        if "" in self.spaces or len(set(self.spaces)) < len(self.spaces):
            raise UsageError(
                f"{self.id}: its spaces are not {len(self.spaces)} different ones",
                hint="name each space once, + between",
            )
        layer = self.statistic.layer
        if layer is not None and self.space.partition("/")[2] != layer:
            raise UsageError(
                f"{self.statistic.name} is of {layer}, which the features of {self.space} are not",
                hint=f"for example {self.statistic.name}@{self.statistic.home}",
            )

    @property
    def spaces(self) -> tuple[str, ...]:
        """The spaces that it is taken in: one, or several of a joint statistic."""
        return tuple(self.space.split("+"))

    @property
    def id(self) -> str:
        """The canonical name, e.g. ``fd@inception-tf``."""
        return f"{self.statistic.name}@{self.space}"

    @property
    def alias(self) -> str | None:
        """The field's short name (``fid``), where it has one."""
        return next((alias for alias, metric_id in ALIASES.items() if metric_id == self.id), None)

    @property
    def name(self) -> str:
        """The alias, or else the id: what people type."""
        return self.alias or self.id

    @property
    def label(self) -> str:
        """A table heading: ``FID``, ``Precision``, ``FD (effnet-lite0)``."""
        if self.alias is not None:
            return _LABELS[self.alias]
        return f"{_LABELS[self.statistic.name]} ({self.space})"


STATISTICS: Mapping[str, Statistic] = MappingProxyType(
    {
        statistic.name: statistic
        for statistic in (
            Statistic(
                name="is",
                version=1,
                direction="higher",
                needs=frozenset(),
                title="Inception Score: exp of the mean KL of p(y|x) to p(y), over 10 splits in a fixed random order",
                source="Salimans et al. 2016, arXiv:1606.03498; order and splits of torch-fidelity",
                stderr="influence function in each split; the bias of small splits is not in it",
                entry="genbench.metrics.inception_score:measure_is",
                home="inception-tf/logits",
                layer="logits",
            ),
            Statistic(
                name="is-adm",
                version=1,
                direction="higher",
                needs=frozenset(),
                title="Inception Score over chunks of 5,000 images in the order they come: depends on that order",
                source="Dhariwal & Nichol 2021, arXiv:2105.05233 (guided-diffusion evaluator)",
                stderr="influence function in each chunk; says nothing about the order",
                entry="genbench.metrics.inception_score:measure_is_adm",
                home="inception-tf/logits",
                layer="logits",
            ),
            Statistic(
                name="fd",
                version=1,
                direction="lower",
                needs=frozenset({"moments"}),
                title="Fréchet distance between Gaussians fitted to the features",
                source="Heusel et al. 2017, arXiv:1706.08500",
                stderr="influence function; first order, so it leaves out the bias of small n",
                entry="genbench.metrics.frechet:measure_fd",
            ),
            Statistic(
                name="fd-inf",
                version=1,
                direction="lower",
                needs=frozenset({"moments"}),
                title="FD∞: intercept of FD against 1/n over 15 seeded subsets",
                source="Chong & Forsyth 2020, arXiv:1911.07023",
                stderr="none: subsets overlap; fd-corrected has one",
                entry="genbench.metrics.small_sample:measure_fd_inf",
            ),
            Statistic(
                name="fd-corrected",
                version=1,
                direction="lower",
                needs=frozenset({"moments"}),
                title="Fréchet distance less its bias of order 1/n, by a jackknife of 25 blocks",
                source="Quenouille 1956; Heusel et al. 2017, arXiv:1706.08500",
                stderr="delete-a-block jackknife, 25 blocks",
                entry="genbench.metrics.small_sample:measure_fd_corrected",
            ),
            Statistic(
                name="kd",
                version=1,
                direction="lower",
                needs=frozenset({"features"}),
                title="kernel distance: unbiased squared MMD, kernel (x·y/d + 1)³, over all pairs",
                source="Bińkowski et al. 2018, arXiv:1801.01401",
                stderr="delete-one jackknife over the generated images",
                entry="genbench.metrics.kernel:measure_kd",
            ),
            Statistic(
                name="kd-subsets",
                version=1,
                direction="lower",
                needs=frozenset({"features"}),
                title="kernel distance as the mean over 100 random subsets of 1,000, seed 2020",
                source="Bińkowski et al. 2018, arXiv:1801.01401; subsets of torch-fidelity",
                stderr="none: the spread over subsets is no standard error; kd has one",
                entry="genbench.metrics.kernel:measure_kd_subsets",
            ),
            Statistic(
                name="precision",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="share of generated images within the 3rd-neighbour ball of a reference image",
                source="Kynkäänniemi et al. 2019, arXiv:1904.06991",
                stderr="binomial (Jeffreys posterior)",
                entry="genbench.metrics.precision_recall:measure_precision",
                balls=IMPROVED,
            ),
            Statistic(
                name="recall",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="share of reference images within the 3rd-neighbour ball of a generated image",
                source="Kynkäänniemi et al. 2019, arXiv:1904.06991",
                stderr="delete-one jackknife over the generated images",
                entry="genbench.metrics.precision_recall:measure_recall",
                balls=IMPROVED,
            ),
            Statistic(
                name="precision-prdc",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="share of generated images strictly within the 5th-neighbour ball of a reference image",
                source="Naeem et al. 2020, arXiv:2002.09797 (prdc)",
                stderr="binomial (Jeffreys posterior)",
                entry="genbench.metrics.precision_recall:measure_precision_prdc",
                balls=PRDC,
            ),
            Statistic(
                name="recall-prdc",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="share of reference images strictly within the 5th-neighbour ball of a generated image",
                source="Naeem et al. 2020, arXiv:2002.09797 (prdc)",
                stderr="delete-one jackknife over the generated images",
                entry="genbench.metrics.precision_recall:measure_recall_prdc",
                balls=PRDC,
            ),
            Statistic(
                name="density",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="mean number of 5th-neighbour balls of the reference that a generated image is in, over 5",
                source="Naeem et al. 2020, arXiv:2002.09797",
                stderr="standard deviation over generated images, over √n",
                entry="genbench.metrics.precision_recall:measure_density",
                balls=PRDC,
            ),
            Statistic(
                name="coverage",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="share of 5th-neighbour balls of the reference that hold a generated image",
                source="Naeem et al. 2020, arXiv:2002.09797",
                stderr="delete-one jackknife over the generated images",
                entry="genbench.metrics.precision_recall:measure_coverage",
                balls=PRDC,
            ),
            Statistic(
                name="precision-adm",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="precision with squared distances rounded to float16, as in the ADM evaluator",
                source="Dhariwal & Nichol 2021, arXiv:2105.05233 (guided-diffusion evaluator)",
                stderr="binomial (Jeffreys posterior)",
                entry="genbench.metrics.half_precision:measure_precision_adm",
            ),
            Statistic(
                name="recall-adm",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="recall with squared distances rounded to float16, as in the ADM evaluator",
                source="Dhariwal & Nichol 2021, arXiv:2105.05233 (guided-diffusion evaluator)",
                stderr="none",
                entry="genbench.metrics.half_precision:measure_recall_adm",
            ),
            Statistic(
                name="mmd-rbf",
                version=1,
                direction="lower",
                needs=frozenset({"features"}),
                title="biased squared MMD times 1,000, Gaussian kernel of width 10, on features of length 1",
                source="Jayasumana et al. 2024, arXiv:2401.09603",
                stderr="delete-one jackknife over the generated images",
                entry="genbench.metrics.mmd_rbf:measure_mmd_rbf",
                home="clip-l14-336",
            ),
            Statistic(
                name="mind",
                version=1,
                direction="lower",
                needs=frozenset({"features"}),
                title="sliced squared 2-Wasserstein distance times 3d, 1,000 directions",
                source="Berthet et al. 2026, arXiv:2605.06797; seed and order of torch-fidelity",
                stderr="none",
                entry="genbench.metrics.mind:measure_mind",
            ),
            Statistic(
                name="vendi",
                version=1,
                direction="higher",
                needs=frozenset(),
                title="exp of the entropy of the spectrum of cosine similarities",
                source="Friedman & Dieng 2023, arXiv:2210.02410",
                stderr="influence function; the bias of small n is not in it",
                entry="genbench.metrics.vendi:measure_vendi",
                home="dinov2-l-dgm",
            ),
            Statistic(
                name="vendi-per-class",
                version=1,
                direction="higher",
                needs=frozenset({"labels"}),
                title="Vendi score of each class, mean over classes",
                source="Stein et al. 2023, arXiv:2306.04675",
                stderr="influence function in each class",
                entry="genbench.metrics.vendi:measure_vendi_per_class",
                home="dinov2-l-dgm",
            ),
            Statistic(
                name="authpct",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="percent of images farther from their nearest training image than it is from its own nearest",
                source="Alaa et al. 2022, arXiv:2102.08921",
                stderr="binomial (Jeffreys posterior)",
                entry="genbench.metrics.memorisation:measure_authpct",
                home="dinov2-l-dgm",
            ),
            Statistic(
                name="realism",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="mean greatest ratio of a reference ball's radius to the distance from its centre, k = 3",
                source="Kynkäänniemi et al. 2019, arXiv:1904.06991",
                stderr="standard deviation over generated images, over √n",
                entry="genbench.metrics.memorisation:measure_realism",
            ),
            Statistic(
                name="c-t",
                version=1,
                direction="higher",
                needs=frozenset({"features", "held-out features"}),
                title="z-score by which generated images are farther from the training set than held-out ones",
                source="Meehan et al. 2020, arXiv:2004.05675",
                stderr="none",
                entry="genbench.metrics.memorisation:measure_c_t",
                home="dinov2-l-dgm",
            ),
            Statistic(
                name="fld",
                version=1,
                direction="lower",
                needs=frozenset({"features", "held-out features"}),
                title="excess negative log-likelihood of held-out images under Gaussians on generated ones",
                source="Jiralerspong et al. 2023, arXiv:2302.04440",
                stderr="none",
                entry="genbench.metrics.likelihood:measure_fld",
                home="dinov2-l-dgm",
            ),
            Statistic(
                name="fd-per-class",
                version=1,
                direction="lower",
                needs=frozenset({"features", "labels", "reference labels"}),
                title="Fréchet distance of each class to the same class of the reference, mean over classes",
                source="Heusel et al. 2017, arXiv:1706.08500, class by class",
                stderr="influence function in each class",
                entry="genbench.metrics.per_class:measure_fd_per_class",
            ),
            Statistic(
                name="is-per-class",
                version=1,
                direction="higher",
                needs=frozenset({"labels"}),
                title="Inception Score within each class, one split, mean over classes",
                source="Salimans et al. 2016, arXiv:1606.03498, class by class",
                stderr="influence function in each class",
                entry="genbench.metrics.per_class:measure_is_per_class",
                home="inception-tf/logits",
                layer="logits",
            ),
            Statistic(
                name="coverage-per-class",
                version=1,
                direction="higher",
                needs=frozenset({"features", "labels", "reference labels"}),
                title="coverage within each class of the reference, mean over classes; 0 for a class not generated",
                source="Naeem et al. 2020, arXiv:2002.09797, class by class",
                stderr="delete-one jackknife in each class",
                entry="genbench.metrics.per_class:measure_coverage_per_class",
            ),
            Statistic(
                name="fdr",
                version=1,
                direction="lower",
                needs=frozenset({"moments", "held-out moments"}),
                title="Fréchet distance over that of held-out real images; over several spaces the mean of the ratios",
                source="Yang et al. 2026, arXiv:2604.28190; denominators in full precision",
                stderr="influence function, joint over the spaces; the denominators are fixed",
                entry="genbench.metrics.frechet_forms:measure_fdr",
                joint=True,
            ),
            Statistic(
                name="fwd",
                version=1,
                direction="lower",
                needs=frozenset({"moments"}),
                title="mean over 256 wavelet packets of their Fréchet distances",
                source="Veeramacheneni et al. 2023, arXiv:2312.15289",
                stderr="influence function",
                entry="genbench.metrics.frechet_forms:measure_fwd",
                home="pixels/haar4",
            ),
            Statistic(
                name="ssw",
                version=1,
                direction="lower",
                needs=frozenset({"features"}),
                title="Wasserstein-1 distance of the images' LDS, CDS and RMSC, in the reference's standard deviations",
                source="genbench; statistics of Singh et al. 2025, arXiv:2512.10794, over the ranges of their script",
                stderr="influence function; finite sets of one distribution are about 1.3 √(1/n + 1/m) apart",
                entry="genbench.metrics.spatial.distances:measure_ssw",
                home="dinov2-b-reg/correlogram",
                layer="correlogram",
            ),
            Statistic(
                name="cfd",
                version=1,
                direction="lower",
                needs=frozenset({"moments"}),
                title="Fréchet distance of correlograms, each distance in standard deviations of the reference",
                source="genbench; correlograms of Singh et al. 2025, arXiv:2512.10794",
                stderr="influence function; first order, so it leaves out the bias of small n",
                entry="genbench.metrics.spatial.distances:measure_cfd",
                home="dinov2-b-reg/correlogram",
                layer="correlogram",
            ),
            Statistic(
                name="lsd",
                version=1,
                direction="lower",
                needs=frozenset({"features"}),
                title="kernel distance of layouts: which of 4x4 regions of an image resemble which",
                source="genbench; self-similarity of Shechtman & Irani 2007, kernel of arXiv:1801.01401",
                stderr="delete-one jackknife over the generated images",
                entry="genbench.metrics.spatial.distances:measure_lsd",
                home="dinov2-b-reg/layout",
                layer="layout",
            ),
            Statistic(
                name="diversity",
                version=1,
                direction="higher",
                needs=frozenset(),
                title="mean squared distance of two images of the set, over all pairs; in vgg16-lpips the mean LPIPS",
                source="Zhu et al. 2017, arXiv:1711.11586, over all pairs instead of random ones",
                stderr="delete-one jackknife over the generated images",
                entry="genbench.metrics.diversity:measure_diversity",
                home="vgg16-lpips",
            ),
            Statistic(
                name="diversity-per-class",
                version=1,
                direction="higher",
                needs=frozenset({"labels"}),
                title="mean squared distance of two images of one class, over all pairs, mean over classes",
                source="Zhu et al. 2017, arXiv:1711.11586, class by class",
                stderr="delete-one jackknife in each class",
                entry="genbench.metrics.diversity:measure_diversity_per_class",
                home="vgg16-lpips",
            ),
            Statistic(
                name="clip-score",
                version=1,
                direction="higher",
                needs=frozenset({"prompts"}),
                title="100 max(cos, 0) of an image's CLIP embedding and its prompt's, mean over images",
                source="Hessel et al. 2021, arXiv:2104.08718, on the field's scale of 100",
                stderr="standard deviation over images, over √n",
                entry="genbench.metrics.clip_score:measure_clip_score",
                home="open-clip/ViT-L-14:openai",
            ),
            Statistic(
                name="psnr",
                version=1,
                direction="higher",
                needs=frozenset({"originals"}),
                title="peak signal-to-noise ratio to the original in dB, range 255; mean over images",
                source="the field's custom",
                stderr="standard deviation over images, over √n",
                entry="genbench.metrics.pairs:measure_mean_of_pairs",
                home="pixels/psnr",
                layer="psnr",
            ),
            Statistic(
                name="ssim",
                version=1,
                direction="higher",
                needs=frozenset({"originals"}),
                title="structural similarity to the original, Gaussian window of 11x11, mean over images",
                source="Wang et al. 2004, doi:10.1109/TIP.2003.819861",
                stderr="standard deviation over images, over √n",
                entry="genbench.metrics.pairs:measure_mean_of_pairs",
                home="pixels/ssim",
                layer="ssim",
            ),
            Statistic(
                name="lpips",
                version=1,
                direction="lower",
                needs=frozenset({"originals"}),
                title="LPIPS distance to the original, VGG-16, version 0.1, mean over images",
                source="Zhang et al. 2018, arXiv:1801.03924",
                stderr="standard deviation over images, over √n",
                entry="genbench.metrics.pairs:measure_mean_of_pairs",
                home="vgg16-lpips/pairs",
                layer="pairs",
            ),
            Statistic(
                name="rfd",
                version=1,
                direction="lower",
                needs=frozenset({"moments", "originals"}),
                title="Fréchet distance of reconstructions to their originals",
                source="Heusel et al. 2017, arXiv:1706.08500",
                stderr="influence function; first order, so it leaves out the bias of small n",
                entry="genbench.metrics.frechet:measure_fd",
            ),
        )
    }
)
"""Every statistic, by name."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "fid": "fd@inception-tf",
        "sfid": "fd@inception-tf/spatial",
        "is": "is@inception-tf/logits",
        "kid": "kd@inception-tf",
        "precision": "precision@inception-tf",
        "recall": "recall@inception-tf",
        "density": "density@inception-tf",
        "coverage": "coverage@inception-tf",
        "cmmd": "mmd-rbf@clip-l14-336",
        "fdr6": "fdr@inception-tf+convnextv2-b+dinov2-l-fdloss+mae-l+siglip2-so400m+clip-l14",
        "fd-dinov2": "fd@dinov2-l-dgm",
        "fid-clean": "fd@inception-clean",
        "fid-pytorch": "fd@inception-torch",
        "fwd": "fwd@pixels/haar4",
        "clip-score": "clip-score@open-clip/ViT-L-14:openai",
        "lpips-diversity": "diversity@vgg16-lpips",
        "psnr": "psnr@pixels/psnr",
        "ssim": "ssim@pixels/ssim",
        "lpips": "lpips@vgg16-lpips/pairs",
        "rfid": "rfd@inception-tf",
    }
)
"""The field's short names and the ids that they stand for."""

_LABELS = {
    "fd": "FD",
    "fd-inf": "FD∞",
    "fd-corrected": "FD corrected",
    "kd": "KD",
    "fid": "FID",
    "sfid": "sFID",
    "is": "IS",
    "is-adm": "IS (file order)",
    "kid": "KID",
    "precision": "Precision",
    "recall": "Recall",
    "kd-subsets": "KD (subsets)",
    "precision-prdc": "Precision k=5",
    "recall-prdc": "Recall k=5",
    "precision-adm": "Precision fp16",
    "recall-adm": "Recall fp16",
    "mmd-rbf": "MMD-RBF",
    "cmmd": "CMMD",
    "mind": "MIND",
    "vendi": "Vendi",
    "vendi-per-class": "Vendi a class",
    "authpct": "AuthPct",
    "realism": "Realism",
    "c-t": "C_T",
    "fld": "FLD",
    "fd-per-class": "FD a class",
    "is-per-class": "IS a class",
    "coverage-per-class": "Coverage a class",
    "fdr": "FDr",
    "fdr6": "FDr^6",
    "fd-dinov2": "FD-DINOv2",
    "fid-clean": "FID (clean-fid)",
    "fid-pytorch": "FID (pytorch-fid)",
    "fwd": "FWD",
    "ssw": "SSW",
    "cfd": "CFD",
    "lsd": "LSD",
    "diversity": "Diversity",
    "diversity-per-class": "Diversity a class",
    "lpips-diversity": "LPIPS diversity",
    "clip-score": "CLIP score",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "lpips": "LPIPS",
    "rfd": "rFD",
    "rfid": "rFID",
    "density": "Density",
    "coverage": "Coverage",
}


def parse(name: str) -> Metric:
    """The metric that an alias (``fid``) or an id (``fd@effnet-lite0``) names.

    Any space is accepted, but for statistics of one layer: whoever has the list of spaces checks it.

    Raises `UsageError` for an unknown statistic or alias, for a statistic without a space, and for one in a space of
    another layer than it is of.
    """
    statistic, at, space = ALIASES.get(name, name).partition("@")
    if statistic in STATISTICS and space:
        return Metric(STATISTICS[statistic], space)
    if statistic in STATISTICS:
        raise UsageError(
            f"{name!r} is a statistic without a feature space",
            hint=f"for example {statistic}@{STATISTICS[statistic].home}",
        )
    if at and statistic in ALIASES:
        meant = ALIASES[statistic].partition("@")
        raise UsageError(
            f"no metric named {name!r}: {statistic} is short for {ALIASES[statistic]}",
            hint=f"write {meant[0]}@{space or meant[2]}",
        )
    known = STATISTICS if at else {*ALIASES, *ALIASES.values()}
    raise unknown("statistic" if at else "metric", statistic if at else name, known, lister="genbench list metrics")


METRICS: tuple[Metric, ...] = tuple(
    dict.fromkeys([*map(parse, ALIASES), *(Metric(statistic, statistic.home) for statistic in STATISTICS.values())])
)
"""What is listed: the metrics that the field has short names for, and every other statistic in its home space."""
