-- Views of genbench's store. Comments as in schema.sql.

-- One row a suite, metric, number of images and run: the latest record of each seed block, averaged over blocks. Only
-- rows with the same suite_digest, metric, version and n are ranked against one another. Left out: records made with
-- --limit, and scores of two sets of images without a suite. When a run's card changed (another run_digest), only
-- records of the latest one count.
CREATE VIEW leaderboard (
    -- The protocol.
    suite,
    -- Identity of the protocol.
    suite_digest,
    -- How features were computed: exact or fast. A fast row is of another suite_digest than an exact one.
    precision,
    -- Whether suite_digest is that of the suite's latest record of this precision; the rows of older ones stay.
    is_current,
    -- statistic@space.
    metric,
    -- Feature space.
    space,
    -- Version of the statistic's definition.
    version,
    -- Which values are better: lower or higher.
    direction,
    -- Generated images in each block.
    n,
    -- Place by value, from 1; equal values share one. Standard errors are not considered.
    rank,
    -- variant@preset, or the path that was scored.
    run,
    -- Method card; NULL for a scored path.
    method,
    -- Set of weights; NULL for a scored path.
    variant,
    -- Sampler settings; NULL for a scored path.
    preset,
    -- Identity of the run, or of the scored images.
    run_digest,
    -- Mean over blocks.
    value,
    -- Standard error of value: root of the sum of the blocks' squared standard errors, over n_blocks.
    stderr,
    -- Seed blocks averaged.
    n_blocks,
    -- Sample standard deviation of the blocks' values; NULL for one block.
    seed_spread,
    -- Reference images.
    n_reference,
    -- Network evaluations an image, guidance not doubled.
    nfe,
    -- Sampling alone, mean over blocks.
    seconds_per_image,
    -- Where it was sampled and measured; NULL when blocks differ.
    device,
    -- The latest record that went in, UTC.
    created,
    -- Place of the metric in the latest record, from 0.
    position
) AS
WITH eligible AS (
    SELECT
        *,
        coalesce(run, images_source) AS entry,
        coalesce(run_digest, images_digest) AS entry_digest
    FROM runs
    WHERE suite IS NOT NULL AND NOT limited
),
-- A block that was not yet repeated with the new weights must not be averaged with those that were.
identified AS (
    SELECT
        *,
        first_value(suite_digest) OVER (PARTITION BY suite, precision ORDER BY created DESC, record_id DESC)
            AS latest_suite_digest,
        first_value(entry_digest) OVER (PARTITION BY suite, suite_digest, entry ORDER BY created DESC, record_id DESC)
            AS latest_entry_digest
    FROM eligible
),
numbered AS (
    SELECT
        identified.*,
        measurements.* EXCLUDE (record_id, n),
        measurements.n AS n_generated,
        costs.nfe,
        costs.seconds_per_image,
        row_number() OVER (
            PARTITION BY suite, suite_digest, entry, metric, version, measurements.n, block
            ORDER BY created DESC, identified.record_id DESC
        ) AS age
    FROM identified
    JOIN measurements ON measurements.record_id = identified.record_id
    LEFT JOIN costs ON costs.record_id = identified.record_id
    WHERE entry_digest = latest_entry_digest
),
-- Sums run in the order of blocks, so that the last bit does not depend on the order in which records came in.
averaged AS (
    SELECT
        suite,
        suite_digest,
        precision,
        suite_digest = latest_suite_digest AS is_current,
        metric,
        space,
        version,
        direction,
        n_generated AS n,
        entry AS run,
        any_value(method) AS method,
        any_value(variant) AS variant,
        any_value(preset) AS preset,
        entry_digest AS run_digest,
        avg(value ORDER BY block) AS value,
        CASE WHEN count(stderr) = count(*) THEN sqrt(sum(stderr * stderr ORDER BY block)) / count(*) END AS stderr,
        count(*) AS n_blocks,
        stddev_samp(value ORDER BY block) AS seed_spread,
        min(n_reference) AS n_reference,
        max(nfe) AS nfe,
        avg(seconds_per_image ORDER BY block) AS seconds_per_image,
        CASE WHEN min(device) = max(device) THEN min(device) END AS device,
        max(created) AS created,
        arg_max(position, (created, record_id)) AS position
    FROM numbered
    WHERE age = 1
    GROUP BY
        suite, suite_digest, precision, latest_suite_digest, metric, space, version, direction, n_generated, entry,
        entry_digest
)
SELECT
    suite,
    suite_digest,
    precision,
    is_current,
    metric,
    space,
    version,
    direction,
    n,
    rank() OVER (
        PARTITION BY suite, suite_digest, metric, version, n
        ORDER BY CASE direction WHEN 'lower' THEN value ELSE -value END
    ) AS rank,
    run,
    method,
    variant,
    preset,
    run_digest,
    value,
    stderr,
    n_blocks,
    seed_spread,
    n_reference,
    nfe,
    seconds_per_image,
    device,
    created,
    position
FROM averaged;
