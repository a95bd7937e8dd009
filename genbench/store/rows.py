"""Records, cards and suites as rows of the store's tables: column name -> value, as ``schema.sql`` describes them."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from genbench.digest import canonical
from genbench.suites import ReconstructionSuite, Suite

if TYPE_CHECKING:
    from genbench.cards import MethodCard
    from genbench.records import Record

Row = dict[str, Any]


def run_row(record: Record, path: str) -> Row:
    """The row of `runs`; `path` is the record's file below the results folder."""
    suite, run, images, provenance = record.suite, record.run, record.images, record.provenance
    return {
        "record_id": record.id,
        # DuckDB would turn an aware time into the session's time zone.
        "created": record.created.astimezone(UTC).replace(tzinfo=None),
        "kind": record.kind,
        "limited": record.limited,
        "block": record.block,
        "suite": suite.id if suite else None,
        "suite_digest": suite.digest if suite else None,
        "run": run.name if run else None,
        "method": run.method if run else None,
        "variant": run.variant if run else None,
        "preset": run.preset if run else None,
        "run_digest": run.digest if run else None,
        "given": canonical(run.given) if run else None,
        "settings": canonical(run.settings) if run else None,
        "weights_sha256": run.weights_sha256 if run else None,
        "images_source": images.source,
        "images_digest": images.digest,
        "n": images.n,
        "first_seed": images.first_seed,
        "labels": images.labels,
        "image_warnings": list(images.warnings),
        "reference": record.reference.name,
        "reference_sha256": canonical(record.reference.sha256),
        "held_out": record.held_out.name if record.held_out else None,
        "precision": record.precision,
        "influence": record.influence,
        "genbench": provenance.genbench,
        "commit": provenance.commit,
        "dirty": provenance.dirty,
        "python": provenance.python,
        "packages": canonical(provenance.packages),
        "platform": provenance.platform,
        "processor": provenance.processor,
        "cores": provenance.cores,
        "threads": provenance.threads,
        "device": provenance.device,
        "tf32": provenance.tf32,
        "deterministic": provenance.deterministic,
        "engine": provenance.engine,
        "argv": list(provenance.argv),
        "record_path": path,
        "record_digest": record.digest,
        "record_schema": record.schema_version,
    }


def measurement_rows(record: Record) -> list[Row]:
    """The rows of `measurements`."""
    return [
        {
            "record_id": record.id,
            "position": position,
            **measurement.model_dump(),
            "space_digest": _space_digest(record, measurement.space),
        }
        for position, measurement in enumerate(record.measurements)
    ]


def _space_digest(record: Record, space: str) -> str | None:
    """Of several spaces the digests joined as their names are; None where the record does not say."""
    digests = [record.spaces.get(name) for name in space.split("+")]
    return None if None in digests else "+".join(filter(None, digests))


def part_rows(record: Record) -> list[Row]:
    """The rows of `measurement_parts`."""
    return [{"record_id": record.id, **part.model_dump()} for part in record.parts]


def contribution_rows(record: Record) -> list[Row]:
    """The rows of `class_contributions`."""
    return [{"record_id": record.id, **contribution.model_dump()} for contribution in record.contributions]


def cost_row(record: Record) -> Row:
    """The row of `costs`."""
    return {"record_id": record.id, **record.costs.model_dump()}


def method_row(card: MethodCard, path: str) -> Row:
    """The row of `methods`."""
    method = card.method
    return {
        "method": method.id,
        "name": method.name,
        "title": method.title,
        "paper": method.paper,
        "code": method.code,
        "licence": method.licence,
        "year": method.year,
        "sampler": method.sampler,
        "unavailable": method.unavailable,
        "path": path,
    }


def variant_rows(card: MethodCard) -> list[Row]:
    """The rows of `variants`."""
    return [
        {
            "variant": name,
            "method": card.method.id,
            "summary": variant.summary,
            "dataset": variant.dataset,
            "resolution": variant.resolution,
            "classes": variant.classes,
            "quantise": variant.quantise,
            "network": canonical(variant.network),
            "weights_file": variant.weights.file if variant.weights else None,
            "weights_sha256": variant.weights.sha256 if variant.weights else None,
            "weights_url": variant.weights.url if variant.weights else None,
            "weights_licence": variant.weights.licence if variant.weights else None,
            "decoder": canonical(variant.decoder.model_dump(mode="json", exclude_none=True))
            if variant.decoder
            else None,
            "training": variant.checkpoint.training if variant.checkpoint else None,
            "epochs": variant.checkpoint.epochs if variant.checkpoint else None,
            "presets": canonical(variant.presets),
            "default_preset": variant.default_preset,
        }
        for name, variant in card.variants.items()
    ]


def suite_row(suite: Suite | ReconstructionSuite, path: str) -> Row:
    """The row of `suites`."""
    of_reconstructions = {"reference": "originals", "blocks": 1}
    of_models = {
        name: getattr(suite, name) if isinstance(suite, Suite) else of_reconstructions.get(name)
        for name in ("reference", "held_out", "blocks", "first_seed", "labels")
    }
    return {
        "suite": suite.id,
        "title": suite.title,
        "dataset": suite.dataset,
        "resolution": suite.resolution,
        **of_models,
        "images": suite.images,
        "metrics": list(suite.metrics),
        "runs": list(suite.runs),
        "path": path,
    }
