-- Published literature in genbench's store: what was printed, what cards claim, and how measurements compare.
-- Comments as in schema.sql.

-- One row a printed figure of the files figures-*.csv and fdr6.csv in registry/published. Figures of other protocols
-- than a suite's are no rivals of what was measured under it.
CREATE TABLE published (
    -- Method card, where there is one; else a name of its own.
    method VARCHAR NOT NULL,
    -- What the source calls it.
    system VARCHAR NOT NULL,
    -- What the source says of size, training and setting.
    variant VARCHAR,
    -- Data set; NULL where the figure is of none.
    dataset VARCHAR,
    -- What images are made from: class, text, image (reconstruction) or none; NULL where not stated.
    conditioning VARCHAR,
    -- Side of the scored images, pixels.
    resolution BIGINT,
    -- statistic@space as in measurements; for what genbench does not measure, a name of the literature's own.
    metric VARCHAR NOT NULL,
    -- What people type: fid.
    metric_name VARCHAR NOT NULL,
    -- Which values are better: lower or higher; NULL for changes against something else.
    direction VARCHAR,
    -- The number.
    value DOUBLE NOT NULL,
    -- <, <=, > or >= where the source gives a limit; NULL where it gives the value.
    bound VARCHAR,
    -- Scored images; NULL where not stated.
    n BIGINT,
    -- How the classes of the images were drawn, uniform or balanced; NULL where not stated.
    labels VARCHAR,
    -- Program that measured; NULL where not stated.
    evaluator VARCHAR,
    -- What images were compared with, as in runs; NULL where not stated.
    reference VARCHAR,
    -- As printed: conventions differ between papers.
    guidance VARCHAR,
    -- As printed.
    sampler VARCHAR,
    -- Network evaluations an image, guidance not doubled.
    nfe BIGINT,
    -- Parameters as the source counts them.
    parameters BIGINT,
    -- Epochs of training.
    epochs DOUBLE,
    -- Iterations of training.
    iterations BIGINT,
    -- Bits of a weight, for quantised networks.
    weight_bits DOUBLE,
    -- Bits of an activation, for quantised networks.
    activation_bits DOUBLE,
    -- What the source is: paper, abstract, repository (all three of the authors), issue, rerun (measured again by
    -- others) or secondary (others print it: quoted, or measured as their baseline).
    evidence VARCHAR NOT NULL,
    -- Where it stands.
    source VARCHAR NOT NULL,
    -- What else the source says.
    note VARCHAR,
    -- File in registry/published.
    file VARCHAR NOT NULL
);

-- One row a method of epochs-to-fid2.csv: epochs of training until an unguided FID of 2 (EP_FID@2).
CREATE TABLE published_epochs (
    -- Method card, where there is one; else a name of its own.
    method VARCHAR NOT NULL,
    -- What the source calls it.
    system VARCHAR NOT NULL,
    -- Epochs of the published model.
    total_epochs BIGINT NOT NULL,
    -- Epochs until the FID was 2; NULL where not given.
    epochs BIGINT,
    -- > where it was not reached in so many epochs.
    bound VARCHAR,
    -- Guided FID of the published model.
    fid DOUBLE NOT NULL,
    -- Where it stands.
    source VARCHAR NOT NULL
);

-- One row a line of iREPA's tables: an encoder as the target of alignment, and what the generator makes.
CREATE TABLE irepa_encoders (
    -- What the paper calls it.
    encoder VARCHAR NOT NULL,
    -- What the repository calls it.
    code_name VARCHAR NOT NULL,
    -- ImageNet accuracy of a linear probe, percent.
    linear_probe DOUBLE,
    -- Local against distant similarity of the encoder's tokens.
    lds DOUBLE,
    -- Decay of similarity with distance.
    cds DOUBLE,
    -- Similarity within an object against that to the background.
    srss DOUBLE,
    -- Spread of the unit tokens around their mean.
    rmsc DOUBLE,
    -- FID of the generator.
    fid DOUBLE,
    -- sFID of the generator.
    sfid DOUBLE,
    -- Inception Score of the generator.
    inception_score DOUBLE,
    -- Precision of the generator.
    precision DOUBLE,
    -- Recall of the generator.
    recall DOUBLE,
    -- CMMD of the generator.
    cmmd DOUBLE,
    -- The generator.
    generator VARCHAR NOT NULL,
    -- Its iterations of training.
    iterations BIGINT NOT NULL,
    -- How it was aligned.
    alignment VARCHAR NOT NULL,
    -- Guidance; NULL for none.
    guidance VARCHAR,
    -- table, table in a figure, or text.
    printed VARCHAR NOT NULL,
    -- Where it stands.
    source VARCHAR NOT NULL,
    -- What else the source says.
    note VARCHAR
);

-- One row a point of iREPA's correlation study of 27 encoders, digitised from its figure.
CREATE TABLE irepa_scatter (
    -- Number of the point, from 0, by FID.
    point BIGINT NOT NULL,
    -- The encoder; NULL where neither figure nor text tell.
    encoder VARCHAR,
    -- Why the point is taken to be that encoder.
    identified_by VARCHAR,
    -- ImageNet accuracy of a linear probe, percent.
    linear_probe DOUBLE NOT NULL,
    -- Local against distant similarity of the encoder's tokens.
    lds DOUBLE NOT NULL,
    -- Decay of similarity with distance.
    cds DOUBLE NOT NULL,
    -- Similarity within an object against that to the background.
    srss DOUBLE NOT NULL,
    -- Spread of the unit tokens around their mean.
    rmsc DOUBLE NOT NULL,
    -- FID of the generator aligned to the encoder, without guidance.
    fid DOUBLE NOT NULL,
    -- Panels where the marker lies on others: less certain there.
    overlapping VARCHAR[] NOT NULL,
    -- The generator.
    generator VARCHAR NOT NULL,
    -- Its iterations of training.
    iterations BIGINT NOT NULL,
    -- Where it stands.
    source VARCHAR NOT NULL
);

-- One row a network: size, counted without weights.
CREATE TABLE network_costs (
    -- What it is called.
    network VARCHAR NOT NULL,
    -- Channels and sides of the input.
    input VARCHAR NOT NULL,
    -- Parameters.
    parameters BIGINT NOT NULL,
    -- Multiply-accumulates of one forward pass of one image.
    macs BIGINT NOT NULL,
    -- Whose code was counted.
    counted_on VARCHAR NOT NULL,
    -- What is and what is not in it.
    note VARCHAR
);

-- One row a claim of a method card: a figure of the authors that a run of the card should reproduce.
CREATE TABLE claims (
    -- Method card.
    method VARCHAR NOT NULL,
    -- Set of weights.
    variant VARCHAR NOT NULL,
    -- Sampler settings that reproduce it; NULL where no preset of the card does.
    preset VARCHAR,
    -- variant@preset; NULL where no preset of the card reproduces it.
    run VARCHAR,
    -- statistic@space.
    metric VARCHAR NOT NULL,
    -- What people type: fid.
    metric_name VARCHAR NOT NULL,
    -- The number.
    value DOUBLE NOT NULL,
    -- Generated images.
    n BIGINT NOT NULL,
    -- What images were compared with; NULL where the card does not say.
    reference VARCHAR,
    -- Where it stands.
    source VARCHAR NOT NULL,
    -- What else the source says.
    note VARCHAR
);

-- One row a claim and suite whose leaderboard holds the claimed run with the claimed metric and number of images, on
-- exact features and under the suite's current protocol; one row with NULL for what nobody measured. Where the claim
-- names its reference, only suites with that reference count.
CREATE VIEW claimed_vs_measured (
    -- Method card.
    method,
    -- variant@preset; NULL where no preset of the card reproduces the claim.
    run,
    -- Set of weights.
    variant,
    -- statistic@space.
    metric,
    -- What people type: fid.
    metric_name,
    -- Generated images.
    n,
    -- The claimed number.
    claimed,
    -- The measured number, mean over seed blocks; NULL where not measured.
    measured,
    -- Standard error of measured.
    stderr,
    -- Seed blocks averaged.
    n_blocks,
    -- measured less claimed.
    difference,
    -- Standard error of difference: a claim is one draw of n images, with the standard error of one seed block.
    difference_stderr,
    -- difference in units of its standard error.
    standard_errors,
    -- reproduced: at most two standard errors apart. deviates: more. no error bar: measured without one. not measured.
    verdict,
    -- The suite that it was measured under.
    suite,
    -- What the measured images were compared with.
    reference,
    -- Where the claim stands.
    source,
    -- What else the card says of the claim.
    note
) AS
WITH suite_references AS (
    SELECT suite_digest, any_value(reference) AS reference FROM runs WHERE suite IS NOT NULL GROUP BY suite_digest
),
measured AS (
    SELECT leaderboard.*, suite_references.reference
    FROM leaderboard
    JOIN suite_references ON suite_references.suite_digest = leaderboard.suite_digest
    WHERE is_current AND precision = 'exact'
),
paired AS (
    SELECT
        claims.*,
        measured.value AS measured_value,
        measured.stderr,
        measured.n_blocks,
        measured.suite,
        measured.reference AS measured_reference,
        measured.value - claims.value AS difference,
        nullif(measured.stderr * sqrt(1 + measured.n_blocks), 0) AS difference_stderr
    FROM claims
    LEFT JOIN measured
        ON measured.run = claims.run
        AND measured.metric = claims.metric
        AND measured.n = claims.n
        AND measured.reference = coalesce(claims.reference, measured.reference)
)
SELECT
    method,
    run,
    variant,
    metric,
    metric_name,
    n,
    value AS claimed,
    measured_value AS measured,
    stderr,
    n_blocks,
    difference,
    difference_stderr,
    difference / difference_stderr AS standard_errors,
    CASE
        WHEN measured_value IS NULL THEN 'not measured'
        WHEN difference_stderr IS NULL THEN 'no error bar'
        WHEN abs(difference) <= 2 * difference_stderr THEN 'reproduced'
        ELSE 'deviates'
    END AS verdict,
    suite,
    measured_reference AS reference,
    source,
    note
FROM paired;
