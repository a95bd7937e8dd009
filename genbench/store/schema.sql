-- The tables of genbench's store, and the public interface of `genbench sql`.
-- A comment stands above what it describes; the store also keeps it, as DuckDB's COMMENT of that table or column.
-- Whoever changes a table raises SCHEMA_VERSION in store.py: stores of another version are rebuilt from the records.

-- One row: what wrote this store.
CREATE TABLE store_info (
    -- Version of these tables.
    schema_version BIGINT NOT NULL,
    -- SHA-256 of schema.sql, views.sql and published.sql.
    schema_digest VARCHAR NOT NULL,
    -- Version of genbench that built the store.
    genbench VARCHAR NOT NULL
);

-- One row a file that the store was filled from; a file with another size or time is read again.
CREATE TABLE files (
    -- Records: below the results folder, with forward slashes. Others: absolute.
    path VARCHAR NOT NULL,
    -- record, card, suite or published.
    kind VARCHAR NOT NULL,
    -- Bytes.
    size BIGINT NOT NULL,
    -- Time of the last change, nanoseconds since 1970.
    mtime_ns BIGINT NOT NULL,
    -- The record in the file; NULL for other kinds and for files that were left out.
    record_id VARCHAR,
    -- Why the file was left out; NULL when it was not.
    problem VARCHAR
);

-- One row a record: what was measured, under which protocol, and where.
CREATE TABLE runs (
    -- UTC time and eight random digits; no two records share one.
    record_id VARCHAR PRIMARY KEY,
    -- When the record was written, UTC.
    created TIMESTAMP NOT NULL,
    -- run (sampled by genbench) or score (images that existed already).
    kind VARCHAR NOT NULL,
    -- Made with --limit: has its own n and enters no leaderboard.
    limited BOOLEAN NOT NULL,
    -- Seed block of the suite, from 0.
    block BIGINT NOT NULL,
    -- The protocol; NULL for a score of two sets of images.
    suite VARCHAR,
    -- Covers seeds, labels, reference, feature networks and metric versions: only rows that share it can be compared.
    suite_digest VARCHAR,
    -- variant@preset; NULL for images that existed already.
    run VARCHAR,
    -- Method card.
    method VARCHAR,
    -- One set of weights of the method.
    variant VARCHAR,
    -- Named sampler settings, or a name derived from --set.
    preset VARCHAR,
    -- Covers everything that can change a pixel.
    run_digest VARCHAR,
    -- Settings as the card and --set gave them.
    given JSON,
    -- Settings as the sampler used them.
    settings JSON,
    -- SHA-256 of the network's weights.
    weights_sha256 VARCHAR,
    -- sampler, or the path that was scored.
    images_source VARCHAR NOT NULL,
    -- Identity of the images: run digest and labels for a sampler, content for files.
    images_digest VARCHAR NOT NULL,
    -- Images.
    n BIGINT NOT NULL,
    -- Seed of the first image.
    first_seed BIGINT,
    -- Label policy.
    labels VARCHAR,
    -- What was odd about the images.
    image_warnings VARCHAR[] NOT NULL,
    -- What the images were compared with.
    reference VARCHAR NOT NULL,
    -- By feature space: SHA-256 of the reference statistics, or identity of the reference images.
    reference_sha256 JSON NOT NULL,
    -- Real images that the reference does not hold, for metrics that ask for some; NULL where none were given.
    held_out VARCHAR,
    -- How the networks computed the features of the images: exact or fast. Those of references are always exact.
    precision VARCHAR NOT NULL,
    -- Parquet file with each image's influence on each Fréchet distance, below the cache folder of the machine that
    -- measured; NULL where there is none.
    influence VARCHAR,
    -- Version of genbench that measured.
    genbench VARCHAR NOT NULL,
    -- Git commit of genbench's checkout; NULL for an installed package.
    commit VARCHAR,
    -- Whether that checkout had uncommitted changes.
    dirty BOOLEAN,
    -- Version of Python.
    python VARCHAR NOT NULL,
    -- Versions of the packages that can change a value.
    packages JSON NOT NULL,
    -- Operating system.
    platform VARCHAR NOT NULL,
    -- Name of the processor.
    processor VARCHAR NOT NULL,
    -- Processor cores.
    cores BIGINT NOT NULL,
    -- Threads that torch computed with.
    threads BIGINT NOT NULL,
    -- Name of the accelerator, or cpu.
    device VARCHAR NOT NULL,
    -- Whether matrix products could use TF32.
    tf32 BOOLEAN NOT NULL,
    -- Whether torch was held to deterministic algorithms.
    deterministic BOOLEAN NOT NULL,
    -- Where shards were made: local, torchrun or ray.
    engine VARCHAR NOT NULL,
    -- The command.
    argv VARCHAR[] NOT NULL,
    -- File of the record, below the results folder.
    record_path VARCHAR NOT NULL,
    -- Covers the whole record.
    record_digest VARCHAR NOT NULL,
    -- Version of the record's format.
    record_schema BIGINT NOT NULL
);

-- One row a number: a metric of a record.
CREATE TABLE measurements (
    -- The record in runs.
    record_id VARCHAR NOT NULL,
    -- Place in the record, from 0: the order in which the suite names its metrics.
    position BIGINT NOT NULL,
    -- statistic@space.
    metric VARCHAR NOT NULL,
    -- Estimator.
    statistic VARCHAR NOT NULL,
    -- Feature space.
    space VARCHAR NOT NULL,
    -- Covers extractor, preprocessing and weights; of several spaces the digests joined by +, as their names are. NULL
    -- where the record does not say.
    space_digest VARCHAR,
    -- Version of the statistic's definition.
    version BIGINT NOT NULL,
    -- Which values are better: lower or higher.
    direction VARCHAR NOT NULL,
    -- The number.
    value DOUBLE NOT NULL,
    -- Standard error over draws of the generated images, the reference held fixed; NULL where there is none.
    stderr DOUBLE,
    -- Generated images.
    n BIGINT NOT NULL,
    -- Reference images.
    n_reference BIGINT NOT NULL,
    -- Standard deviation over the statistic's splits or subsets, which papers print after the value; it is not a
    -- standard error. NULL for statistics without them.
    spread DOUBLE,
    -- Of fast features: the value on the first deviation_n images less the value on exact features of the same images.
    -- It is measured at deviation_n images, not at n. NULL for exact features, and where so few images give no value.
    deviation DOUBLE,
    -- Images that the deviation was measured on.
    deviation_n BIGINT
);

-- One row a number that a measurement is the mean of: a feature space of FDr, a category of prompts of CLIP score.
CREATE TABLE measurement_parts (
    -- The record in runs.
    record_id VARCHAR NOT NULL,
    -- Metric of the measurement.
    metric VARCHAR NOT NULL,
    -- Feature space, or category.
    part VARCHAR NOT NULL,
    -- The number.
    value DOUBLE NOT NULL,
    -- Standard error over draws of the generated images; NULL where there is none.
    stderr DOUBLE,
    -- Generated images.
    n BIGINT NOT NULL,
    -- FDr: distance of the held-out images to the reference, which the value was divided by; NULL elsewhere.
    denominator DOUBLE
);

-- One row a record, Fréchet distance and class of the generated images: what the class does to the distance.
-- The influence of an image is the first-order change of the distance, per unit of weight, when weight moves from all
-- images to that one; it has mean 0 over the images. A class's contribution is the mean of its images' influences, so
-- sum(n * contribution) is 0: it says which classes make the distance worse, not how it is divided among them.
CREATE TABLE class_contributions (
    -- The record in runs.
    record_id VARCHAR NOT NULL,
    -- fd@space.
    metric VARCHAR NOT NULL,
    -- Number of the class.
    label BIGINT NOT NULL,
    -- Name of the class; NULL where classes have numbers only.
    name VARCHAR,
    -- Generated images of the class.
    n BIGINT NOT NULL,
    -- Mean influence, in the unit of the distance; above 0 the class makes the distance worse.
    contribution DOUBLE NOT NULL,
    -- Standard error over draws of the class's images, all others fixed; NULL for a single image.
    stderr DOUBLE
);

-- One row a record: what sampling and measuring took. NULL where it is not known.
CREATE TABLE costs (
    -- The record in runs.
    record_id VARCHAR PRIMARY KEY,
    -- Parameters of the network.
    parameters BIGINT,
    -- Size of the weight files, bytes.
    weight_bytes BIGINT,
    -- Network evaluations an image, guidance not doubled; a mean where solvers choose their steps.
    nfe DOUBLE,
    -- Floating-point operations an image of every network, guidance and latent decoder included; a multiply-add is two.
    flops_per_image BIGINT,
    -- Bit operations an image: multiply-adds times bits of weight and activation, of linear and convolution layers.
    bops_per_image BIGINT,
    -- Parameters that sampling uses, at the bits that the preset keeps them in, bytes.
    packed_weight_bytes BIGINT,
    -- Sampling alone, averaged over all shards.
    seconds_per_image DOUBLE,
    -- Feature extraction alone.
    extraction_seconds_per_image DOUBLE,
    -- Processes that made the shards, whichever calls they were of; NULL where older versions made some.
    workers BIGINT,
    -- Of the call that wrote the record: share of its workers' time in which they made images or extracted features; the
    -- rest is loading, sending, writing and waiting. NULL where it found all shards made.
    utilisation DOUBLE,
    -- Peak memory, bytes.
    peak_memory_bytes BIGINT,
    -- Wall time of the call that wrote the record, seconds.
    wall_seconds DOUBLE NOT NULL
);

-- One row a method card: a paper.
CREATE TABLE methods (
    -- Name of the card.
    method VARCHAR PRIMARY KEY,
    -- What people call it.
    name VARCHAR NOT NULL,
    -- Title of the paper.
    title VARCHAR NOT NULL,
    -- Where the paper is.
    paper VARCHAR,
    -- Where the authors' code is.
    code VARCHAR,
    -- Licence of the code.
    licence VARCHAR,
    -- Year of publication.
    year BIGINT,
    -- Family of samplers, or module:Class; NULL for a method that genbench cannot run.
    sampler VARCHAR,
    -- Why genbench cannot run it; NULL for one that it can.
    unavailable VARCHAR,
    -- File of the card.
    path VARCHAR NOT NULL
);

-- One row a set of weights of a method.
CREATE TABLE variants (
    -- Unique over all cards; the part of a run's name before the @.
    variant VARCHAR PRIMARY KEY,
    -- The card in methods.
    method VARCHAR NOT NULL,
    -- What it is, in a sentence.
    summary VARCHAR NOT NULL,
    -- What it was trained on.
    dataset VARCHAR NOT NULL,
    -- Side of a generated image, pixels.
    resolution BIGINT NOT NULL,
    -- Classes, 0 for an unconditional model.
    classes BIGINT NOT NULL,
    -- Rule from float to uint8.
    quantise VARCHAR NOT NULL,
    -- Constructor arguments of the network.
    network JSON NOT NULL,
    -- Weight file; NULL for a method without one.
    weights_file VARCHAR,
    -- What it must hash to; NULL when it is pinned at first use.
    weights_sha256 VARCHAR,
    -- Where it is published; NULL when it comes with genbench.
    weights_url VARCHAR,
    -- Licence of the weights.
    weights_licence VARCHAR,
    -- Latent decoder; NULL for models of pixels.
    decoder JSON,
    -- Training run that the weights are a checkpoint of; NULL where the card names none.
    training VARCHAR,
    -- Passes over the training data that they have seen.
    epochs DOUBLE,
    -- Sampler settings by preset name.
    presets JSON NOT NULL,
    -- The preset that is meant when none is named.
    default_preset VARCHAR NOT NULL
);

-- One row a suite file: a protocol as it stands now. What was measured under an older one is told apart by suite_digest.
CREATE TABLE suites (
    -- Name of the suite.
    suite VARCHAR PRIMARY KEY,
    -- What it is, in a line.
    title VARCHAR NOT NULL,
    -- The data that methods are asked to imitate.
    dataset VARCHAR NOT NULL,
    -- Side of the images, pixels.
    resolution BIGINT NOT NULL,
    -- Name of the reference statistics; originals for a suite of reconstructions, NULL for one of prompts alone.
    reference VARCHAR,
    -- Name of the statistics of held-out real images; NULL where the suite names none.
    held_out VARCHAR,
    -- Images in a seed block.
    images BIGINT NOT NULL,
    -- Seed blocks; each is measured on its own.
    blocks BIGINT NOT NULL,
    -- Seed of image 0 of block 0; NULL for reconstructions.
    first_seed BIGINT,
    -- Label policy; NULL for reconstructions.
    labels VARCHAR,
    -- Metrics, as the suite names them.
    metrics VARCHAR[] NOT NULL,
    -- Globs over variant@preset, or over decoders, that the suite runs.
    runs VARCHAR[] NOT NULL,
    -- File of the suite.
    path VARCHAR NOT NULL
);
