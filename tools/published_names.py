"""What the collected tables call things, and what genbench calls them: see `tools.build_published`."""

from __future__ import annotations

from typing import Any, NamedTuple


class Component(NamedTuple):
    """One part of an ``other_metric``."""

    metric: str
    """A name of genbench's catalog or of `genbench.published.OUTSIDE`; ``bits`` and ``reference`` are settings."""
    note: str = ""
    scale: float = 1
    """From the printed unit to the metric's."""
    suffix: str = ""
    """Appended to the variant, where the number is not the row's own."""
    bits: dict[str, Any] = {}  # noqa: RUF012  # of a NamedTuple, and never changed


METHODS: dict[str | tuple[str, str], str] = {
    # Names that the tables write in several ways, and names with a card.
    "ADM-G": "adm",
    "DDIM baseline (AutoDiffusion)": "adm",
    "Autoguidance (EDM2)": "autoguidance",
    "BinaryDM (v1 README)": "binarydm",
    "BinaryDM baseline": "binarydm",
    "CM": "consistency",
    "DD1": "distilled-decoding",
    "Distilled Decoding 1": "distilled-decoding",
    "DD2": "distilled-decoding-2",
    "DPSDA (Private Evolution)": "dpsda",
    "DQ-Transformer": "dq-vae",
    "Drifting": "drifting",
    "ECD": "ect",
    "EDM (Heun)": "edm",
    "EDM teacher of Uni-Instruct": "edm",
    "EDM2 (Heun)": "edm2",
    "DiT-XL": "dit",
    "FP16 DiT-XL/2": "dit",
    "FLUX.1-dev BF16": "flux",
    "FP DDIM": "ddim",
    "FP LDM-4": "ldm",
    "FP LDM-8": "ldm",
    "LDM-4-G": "ldm",
    "FlowTurbo (InstaFlow 2-RF)": "flowturbo",
    "InstaFlow 2-RF Heun": "instaflow",
    "2-Rectified Flow (+distill)": "rectified-flow",
    "2-Rectified Flow++": "rfpp",
    "LightningDiT (VA-VAE)": "lightningdit",
    "VA-VAE": "lightningdit",
    "MeanFlow (zhuyu-cs port)": "meanflow",
    "MeanFlow (zhuyu-cs README quoting paper Table 1f)": "meanflow",
    "Multistep CM": "multistep-consistency",
    "SAR (post-training of FlexVAR)": "sar",
    "Score SDE-deep": "score-sde",
    "SiT-XL": "sit",
    "SiT-XL Heun": "sit",
    "SiT+REPA": "repa",
    "T5 (TTT)": "t5-ttt",
    "TA-TiTok": "maskgen",
    "ViT-VQGAN (VIM-L)": "vit-vqgan",
    "G4W+P4A": "q-dit",
    "Immiscible Diffusion": "immiscible-diffusion",
    "reference": "imagenet-val",
    "sCM": "scm",
    "sCT": "scm",
    # The same letters for two papers: pixel-space "simple diffusion", and score identity distillation.
    ("dit", "SiD"): "simple-diffusion",
    ("dit", "SiD2"): "simpler-diffusion",
    ("fewstep", "SiD"): "sid",
    # Rows of the FDr^6 and EP_FID@2 tables, up to the first comma or parenthesis.
    "50k validation images": "imagenet-val",
    "VAR-d30": "var",
    "BAR-B": "bar",
    "BAR-L": "bar",
    "SiT-XL/2": "sit",
    "MAR-L": "mar",
    "MAR-H": "mar",
    "FlowAR-H": "flowar",
    "REG": "reg",
    "SiT-XL/2-REPA": "repa",
    "LightningDiT": "lightningdit",
    "DDT-XL": "ddt",
    "REPA-E": "repa-e",
    "RAE-XL": "rae",
    "RAEv2": "raev2",
    "Drift-L": "drifting",
    "iMF-XL": "imf",
    "iMF-XL + FD-loss Inception": "fd-loss",
    "iMF-XL + FD-loss SIM": "fd-loss",
    "PixNerd-XL": "pixnerd",
    "JiT-L": "jit",
    "JiT-H": "jit",
    "JiT-H + FD-loss Inception": "fd-loss",
    "JiT-H + FD-loss SIM": "fd-loss",
    "pMF-L": "pmf",
    "pMF-H": "pmf",
    "pMF-L + FD-loss Inception": "fd-loss",
    "pMF-L + FD-loss SIM": "fd-loss",
    "pMF-H + FD-loss Inception": "fd-loss",
    "pMF-H + FD-loss SIM": "fd-loss",
}
"""Method ids by printed name, or by (table, name) where two tables mean different papers. Others become lower case."""

VARIANT_METHODS: dict[str, dict[str, str]] = {
    "tokenizer": {"SD-VAE": "ldm", "VA-VAE": "lightningdit", "E2E-VAE": "repa-e", "RAE": "rae"},
    "MeanFlow": {"UNet": "meanflow-unet", "CIFAR": "meanflow-unet"},
    "base of Neon": {"EDM": "edm", "IMM": "imm"},
    "tokenizer baseline": {
        "VQGAN": "vqgan",
        "SDXL-VAE": "sdxl",
        "SD-VAE 3.5": "sd3",
        "SD-VAE": "ldm",
        "consistency decoder": "consistency-decoder",
        "FLUX-VAE": "flux",
        "Cosmos": "cosmos-tokenizer",
        "DC-AE": "dc-ae",
        "SoftVQ": "softvq-vae",
        "MAETok": "maetok",
    },
    "AR baseline": {
        "VQGAN": "vqgan",
        "RQ-Transformer": "rq-transformer",
        "Open-MAGVIT2": "open-magvit2",
        "IBQ": "ibq",
    },
}
"""Method ids of the rows whose printed name is a heading or a paper of two cards, by a part of the variant."""

VARIANT_REFERENCES = {"ADM baseline net": "edm-imagenet64-baseline"}
"""References of single rows, by a part of the variant, where they are not those of `PROTOCOLS`."""

_IMAGENET_VAL = ("imagenet", "image", None)

DATASETS: dict[str, tuple[str, str, int | None]] = {
    "AFHQv2": ("afhqv2", "none", None),
    "CIFAR-10": ("cifar10", "", None),
    "CIFAR-10 DDIM": ("cifar10", "none", None),
    "CIFAR-10 cond": ("cifar10", "class", None),
    "CIFAR-10 uncond": ("cifar10", "none", None),
    "COCO": ("coco", "text", None),
    "COCO SD": ("coco", "text", None),
    "COCO val2017 (reconstruction)": ("coco-2017", "image", None),
    "COCO val2017 5k (reconstruction)": ("coco-2017", "image", 5000),
    "COCO2014 zero-shot": ("coco-2014", "text", None),
    "COCO2017 val FID-5K": ("coco-2017", "text", 5000),
    "CelebA-HQ (reconstruction)": ("celeba-hq", "image", None),
    "DeepEyeNet": ("deepeyenet", "text", None),
    "FFHQ": ("ffhq", "none", None),
    "FFHQ (reconstruction)": ("ffhq", "image", None),
    "ImageNet": ("imagenet", "class", None),
    "ImageNet 64": ("imagenet", "none", None),
    "ImageNet LDM-4": ("imagenet", "class", None),
    "ImageNet-1k": ("imagenet", "class", None),
    "ImageNet-1k val (reconstruction)": _IMAGENET_VAL,
    "Kinetics-600": ("kinetics-600", "", None),
    "LAION-COCO 2.4M": ("laion-coco", "text", None),
    "LSUN-Bedroom": ("lsun-bedroom", "none", None),
    "LSUN-Bedroom LDM-4": ("lsun-bedroom", "none", None),
    "LSUN-Bedrooms": ("lsun-bedroom", "none", None),
    "LSUN-Church": ("lsun-church", "none", None),
    "LSUN-Church LDM-8": ("lsun-church", "none", None),
    "MIMIC-CXR": ("mimic-cxr", "text", None),
    "MJHQ-30K": ("mjhq-30k", "text", None),
    "MS-COCO": ("coco", "text", None),
    "MS-COCO 2017 (FID-5K)": ("coco-2017", "text", 5000),
    "MS-COCO t2i": ("coco", "text", None),
    "RECON": ("recon", "", None),
    "UCF-101": ("ucf-101", "class", None),
    "n/a": ("", "", None),
    "prompts per ConvRot": ("", "text", None),
    "text-to-image": ("", "text", None),
    "uncond LDM/DDIM": ("", "none", None),
}
"""Data set, what images are made from, and the number of images where the name tells it."""

_PER_IMAGE = "seconds-per-image"

OTHER: dict[str, Component] = {
    "bits": Component("bits"),
    "W/A bits": Component("bits"),
    "reference": Component("reference"),
    # Measured by genbench too.
    "FD_DINOv2": Component("fd-dinov2"),
    "FDr_CLIP": Component("fdr@clip-l14"),
    "FDr_ConvNeXt": Component("fdr@convnextv2-b"),
    "FDr_DINOv2": Component("fdr@dinov2-l-fdloss"),
    "FDr_Inception": Component("fdr@inception-tf"),
    "FDr_MAE": Component("fdr@mae-l"),
    "FDr_SigLIP": Component("fdr@siglip2-so400m"),
    "FDr6_mean": Component("fdr6"),
    "FP FID": Component("fid", suffix=": full precision"),
    "LPIPS": Component("lpips"),
    "PSNR": Component("psnr"),
    "SSIM": Component("ssim"),
    "baseline FID": Component("fid", suffix=": the baseline it is compared with"),
    "baseline_fid": Component("fid", suffix=": the baseline it is compared with"),
    "rFID": Component("rfid"),
    "rFID@32tok": Component("rfid", note="with 32 tokens"),
    # Other measures of quality.
    "CLIP-Score": Component("clip-similarity"),
    "FID_change_vs_SiT-XL/2": Component("fid-change", note="against SiT-XL/2"),
    "FVD": Component("fvd"),
    "GenEval": Component("geneval"),
    "MS-SSIM": Component("ms-ssim"),
    "PSNR_dB vs FP": Component("psnr-to-parent"),
    "codebook_usage_pct": Component("codebook-usage-pct"),
    "codebook_usage_pct before->after": Component("codebook-usage-pct"),
    "gain_vs_DiT (abstract calls it rFID)": Component(
        "fid-change", note="against DiT; the abstract calls it rFID", scale=-1
    ),
    "gain_vs_VAR": Component("fid-change", note="against VAR", scale=-1),
    "gap_vs_DD1": Component("fid-reduction-pct", note="of the gap to the teacher, against DD1", scale=-1),
    "max FID change": Component("fid-change", note="the largest"),
    "relative FID gain %": Component("fid-reduction-pct"),
    "rFVD": Component("rfvd"),
    "sFID increase": Component("sfid-change"),
    # Cost and size.
    "ARM": Component("speedup", note="ARM processor"),
    "BOPs_T_per_step": Component("bops-t-per-step"),
    "BiDM": Component(_PER_IMAGE, note="one convolution; printed in µs", scale=1e-6),
    "CPU": Component("speedup", note="CPU"),
    "DoReFa": Component(_PER_IMAGE, note="one convolution; printed in µs", scale=1e-6, suffix=": DoReFa"),
    "FLOPs saving x": Component("ops-saving"),
    "GFLOPs": Component("gflops", note="summed over the steps"),
    "GFLOPs(=MACs, CFG not doubled)": Component(
        "gflops", note="multiply-accumulates summed over the steps, guidance not doubled"
    ),
    "GFLOPs_reduction_vs_DiT-XL/2_pct": Component("gflops-reduction-pct", note="against DiT-XL/2"),
    "Gflops": Component("gflops"),
    "OPs saving x": Component("ops-saving"),
    "OPs_G_per_forward": Component("ops-g", note="of a forward pass"),
    "QAT speed-up x": Component("training-speedup", note="against quantisation-aware training"),
    "W4A8": Component("model-size-mb", bits={"weight_bits": 4, "activation_bits": 8}),
    "W8A8": Component("model-size-mb", bits={"weight_bits": 8, "activation_bits": 8}),
    "epochs_to_FID_2_no_guidance": Component("epochs-to-fid2"),
    "extra_training_compute": Component("extra-training-pct"),
    "img_per_s_A100": Component("images-per-second", note="A100"),
    "img_per_s_A100_fp32_bs128": Component("images-per-second", note="A100, float32, batch 128"),
    "img_per_s_V100": Component("images-per-second", note="V100"),
    "latency speedup x": Component("speedup"),
    "latency_ms_per_img": Component(_PER_IMAGE, scale=1e-3),
    "latency_ms_per_img_A800": Component(_PER_IMAGE, note="A800", scale=1e-3),
    "latency_ms_per_img_A800_bs8": Component(_PER_IMAGE, note="A800, batch 8", scale=1e-3),
    "latency_s": Component("seconds"),
    "latency_us FP": Component(
        _PER_IMAGE, note="one convolution; printed in µs", scale=1e-6, suffix=": full precision"
    ),
    "mem_MB": Component("memory-mb"),
    "memory reduction x": Component("memory-saving"),
    "memory_GiB": Component("memory-gib"),
    "model size factor": Component("size-saving"),
    "model size/memory reduction x": Component("size-saving", note="of model size and of memory"),
    "model_size_MB": Component("model-size-mb"),
    "relative_cost_vs_d30": Component("relative-cost"),
    "relative_time": Component("relative-time"),
    "relative_time_vs_d30": Component("relative-time"),
    "samples_per_s": Component("images-per-second"),
    "sec_baseline": Component("seconds"),
    "sec_per_image_A100_bs1": Component(_PER_IMAGE, note="A100, batch 1"),
    "sec_vllm": Component("seconds", note="served by vLLM"),
    "size_MB (FP 2553.35)": Component("model-size-mb", note="full precision: 2553.35"),
    "size_MB FP": Component("model-size-mb", bits={"weight_bits": 32, "activation_bits": 32}),
    "speedup": Component("speedup"),
    "speedup GPU": Component("speedup", note="GPU"),
    "speedup vs W4A16 x": Component("speedup", note="against W4A16"),
    "storage saving x": Component("size-saving"),
    "throughput": Component("images-per-second"),
    "train_speedup": Component("training-speedup", note="against DD1"),
}

_ADM = {"n": 50_000, "evaluator": "adm"}
_JIT = {"n": 50_000, "evaluator": "torch-fidelity", "reference": "jit-imagenet"}
_LTH14 = {"n": 50_000, "evaluator": "torch-fidelity"}
_EDM = {"n": 50_000, "evaluator": "edm"}
_EDM2 = {"n": 50_000, "evaluator": "edm2"}

PROTOCOLS: dict[tuple[str, str, str], dict[str, Any]] = {
    # The ADM evaluator and its reference batches.
    **{
        (method, "imagenet", resolution): {**_ADM, "reference": f"adm-imagenet{resolution}"}
        for resolution in ("256", "512")
        for method in (
            "d-ar",
            "ddt",
            "dit",
            "flowturbo",
            "haste",
            "irepa",
            "lightningdit",
            "llamagen",
            "mdt",
            "mf-rae",
            "rae",
            "repa",
            "repa-e",
            "sit",
            "var",
        )
    },
    **{
        (method, "imagenet", "64"): {**_ADM, "reference": "adm-imagenet64"}
        for method in ("autodiffusion", "consistency", "ctm")
    },
    # ADM's statistics in a fork of torch-fidelity.
    **{(method, "imagenet", "256"): {**_LTH14, "reference": "adm-imagenet256"} for method in ("mar", "neon", "rcg")},
    # Statistics of the training set that JiT's authors stored.
    ("jit", "imagenet", "256"): _JIT,
    ("jit", "imagenet", "512"): _JIT,
    ("imf", "imagenet", "256"): _JIT,
    # EDM's own program and statistics.
    **{
        (method, "cifar10", "32"): {**_EDM, "reference": "edm-cifar10"}
        for method in ("ctm", "edm", "rfpp", "sid", "uni-instruct")
    },
    **{
        (method, "imagenet", "64"): {**_EDM, "reference": "edm-imagenet64"}
        for method in ("dmd2", "edm", "rfpp", "sid", "uni-instruct")
    },
    **{(method, "imagenet", "512"): {**_EDM2, "reference": "edm2-imagenet512"} for method in ("ddo", "edm2", "scm")},
    ("consistency", "cifar10", "32"): {"n": 50_000, "evaluator": "clean-fid, legacy-tensorflow"},
}
"""How the authors measured, by method, data set and side: only where their repository or paper says so."""

LABELS: dict[str, str] = {
    **dict.fromkeys(
        (
            "dit",
            "edm",
            "flowturbo",
            "haste",
            "lightningdit",
            "llamagen",
            "maskdit",
            "mdt",
            "redi",
            "repa",
            "sit",
        ),
        "uniform",
    ),
    **dict.fromkeys(("ddt", "dmd2", "imf", "jit", "mar", "mf-rae", "rae", "sfd", "titok"), "balanced"),
}
"""How the authors draw the classes of ImageNet, by method. REPA-E's papers differ, and say so in their sources."""

OWN_WORDS: dict[str, str] = {
    "dq-vae": "DynamicVectorQuantization",
    "imf": "imeanflow",
    "lightningdit": "VA-VAE",
    "multistep-consistency": "Multistep Consistency Models",
}
"""What the authors' own sources are called by, where it is neither the method's id nor its printed name."""
