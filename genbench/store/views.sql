-- Views of genbench's store. Comments as in schema.sql.

-- One row a record that leaderboards count: the latest of each suite_digest, run, n and block. Left out: records made
-- with --limit, and scores of two sets of images without a suite. When a run's card changed (another run_digest), only
-- records of the latest one count: a block that was not yet repeated with the new weights must not be averaged with
-- those that were.
CREATE VIEW counted (
    -- The record in runs.
    record_id,
    -- The protocol.
    suite,
    -- Identity of the protocol.
    suite_digest,
    -- How features were computed: exact or fast.
    precision,
    -- Whether suite_digest is that of the suite's latest record of this precision.
    is_current,
    -- variant@preset, or the path that was scored.
    run,
    -- Identity of the run, or of the scored images.
    run_digest,
    -- Images.
    n,
    -- Seed block of the suite, from 0.
    block
) AS
WITH eligible AS (
    SELECT
        record_id,
        suite,
        suite_digest,
        precision,
        coalesce(run, images_source) AS entry,
        coalesce(run_digest, images_digest) AS entry_digest,
        n,
        block,
        (created, record_id) AS age
    FROM runs
    WHERE suite IS NOT NULL AND NOT limited
),
latest_suites AS (
    SELECT suite, precision, arg_max(suite_digest, age) AS suite_digest, true AS is_current
    FROM eligible
    GROUP BY suite, precision
),
latest_entries AS (
    SELECT suite_digest, entry, arg_max(entry_digest, age) AS entry_digest
    FROM eligible
    GROUP BY suite_digest, entry
),
latest_records AS (
    SELECT arg_max(record_id, age) AS record_id
    FROM eligible
    SEMI JOIN latest_entries USING (suite_digest, entry, entry_digest)
    GROUP BY suite_digest, entry, n, block
)
SELECT
    record_id,
    suite,
    suite_digest,
    precision,
    coalesce(is_current, false) AS is_current,
    entry AS run,
    entry_digest AS run_digest,
    n,
    block
FROM eligible
SEMI JOIN latest_records USING (record_id)
LEFT JOIN latest_suites USING (suite, precision, suite_digest);

-- One row a suite, metric, number of images and run: the records in `counted`, averaged over seed blocks. Only rows
-- with the same suite_digest, metric, version and n are ranked against one another.
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
WITH entries AS (
    SELECT
        counted.suite,
        counted.suite_digest,
        counted.precision,
        is_current,
        counted.run,
        counted.run_digest,
        counted.n,
        any_value(method) AS method,
        any_value(variant) AS variant,
        any_value(preset) AS preset,
        max(nfe) AS nfe,
        list_avg(list_sort(list(seconds_per_image))) AS seconds_per_image,
        CASE WHEN min(device) = max(device) THEN min(device) END AS device,
        max(created) AS created
    FROM counted
    JOIN runs USING (record_id)
    LEFT JOIN costs USING (record_id)
    GROUP BY counted.suite, counted.suite_digest, counted.precision, is_current, counted.run, counted.run_digest, counted.n
),
-- Sums run over sorted values, so that the last bit does not depend on the order in which records came in.
averaged AS (
    SELECT
        suite_digest,
        run,
        counted.n AS n_images,
        measurements.n,
        metric,
        space,
        version,
        direction,
        list_avg(list_sort(list(value))) AS value,
        CASE WHEN count(stderr) = count(*) THEN sqrt(list_sum(list_sort(list(stderr * stderr)))) / count(*) END
            AS stderr,
        count(*) AS n_blocks,
        CASE WHEN count(*) > 1 THEN list_stddev_samp(list_sort(list(value))) END AS seed_spread,
        min(n_reference) AS n_reference,
        arg_max(position, record_id) AS position
    FROM counted
    JOIN measurements USING (record_id)
    GROUP BY suite_digest, run, counted.n, measurements.n, metric, space, version, direction
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
    averaged.n,
    rank() OVER (
        PARTITION BY suite_digest, metric, version, averaged.n
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
FROM averaged
JOIN entries USING (suite_digest, run)
WHERE entries.n = n_images;

-- One row an ordered pair of leaderboard rows that can be compared: same suite_digest, metric, version and n. Read it with
-- a condition on suite, metric or run: without one it has the square of the leaderboard's rows.
CREATE VIEW comparable (
    -- The protocol.
    suite,
    -- Identity of the protocol.
    suite_digest,
    -- How features were computed: exact or fast.
    precision,
    -- Whether suite_digest is that of the suite's latest record of this precision.
    is_current,
    -- statistic@space.
    metric,
    -- Version of the statistic's definition.
    version,
    -- Which values are better: lower or higher.
    direction,
    -- Generated images in each block.
    n,
    -- variant@preset, or the path that was scored.
    run,
    -- What it is compared with, named likewise.
    other,
    -- Value of run.
    value,
    -- Value of other.
    other_value,
    -- value less other_value.
    difference,
    -- Standard error of difference as if the images were drawn independently; NULL where either has none. `genbench
    -- compare` pairs images of the same seed, which moves it.
    stderr,
    -- Whether run's value is the better one; NULL for equal values.
    is_better
) AS
SELECT
    one.suite,
    suite_digest,
    one.precision,
    one.is_current,
    metric,
    version,
    one.direction,
    n,
    one.run,
    other.run AS other,
    one.value,
    other.value AS other_value,
    one.value - other.value AS difference,
    sqrt(one.stderr * one.stderr + other.stderr * other.stderr) AS stderr,
    CASE WHEN one.value <> other.value THEN (one.value < other.value) = (one.direction = 'lower') END AS is_better
FROM leaderboard AS one
JOIN leaderboard AS other USING (suite_digest, metric, version, n)
WHERE one.run <> other.run;

-- One row a leaderboard row and kind of cost: who has the best value that such a cost can buy.
CREATE VIEW pareto (
    -- The protocol.
    suite,
    -- Identity of the protocol.
    suite_digest,
    -- How features were computed: exact or fast.
    precision,
    -- Whether suite_digest is that of the suite's latest record of this precision.
    is_current,
    -- statistic@space.
    metric,
    -- Version of the statistic's definition.
    version,
    -- Which values are better: lower or higher.
    direction,
    -- Generated images in each block.
    n,
    -- variant@preset.
    run,
    -- Mean over blocks.
    value,
    -- Standard error of value.
    stderr,
    -- nfe or seconds_per_image.
    cost_kind,
    -- Where seconds_per_image was taken: only runs on one device compete. NULL for nfe.
    device,
    -- Network evaluations or seconds an image.
    cost,
    -- Whether no other run has a value as good at a lower cost, or a better one at the same.
    on_front
) AS
WITH priced AS (
    SELECT *, 'nfe' AS cost_kind, NULL AS place, nfe::DOUBLE AS cost
    FROM leaderboard
    WHERE nfe IS NOT NULL
    UNION ALL
    SELECT *, 'seconds_per_image', device, seconds_per_image
    FROM leaderboard
    WHERE seconds_per_image IS NOT NULL AND device IS NOT NULL
),
-- Loss is lower for better values, whatever the metric's direction.
compared AS (
    SELECT
        *,
        CASE direction WHEN 'lower' THEN value ELSE -value END AS loss,
        min(loss) OVER (rivals RANGE UNBOUNDED PRECEDING) AS least,
        min(loss) OVER (rivals RANGE UNBOUNDED PRECEDING EXCLUDE GROUP) AS least_for_less
    FROM priced
    WINDOW rivals AS (PARTITION BY suite_digest, metric, version, n, cost_kind, place ORDER BY cost)
)
SELECT
    suite,
    suite_digest,
    precision,
    is_current,
    metric,
    version,
    direction,
    n,
    run,
    value,
    stderr,
    cost_kind,
    place AS device,
    cost,
    loss = least AND loss < coalesce(least_for_less, 'infinity') AS on_front
FROM compared;

-- One row a leaderboard row of a checkpoint: a variant whose card names the training run that its weights come from.
CREATE VIEW training_curve (
    -- The protocol.
    suite,
    -- Identity of the protocol.
    suite_digest,
    -- How features were computed: exact or fast.
    precision,
    -- Whether suite_digest is that of the suite's latest record of this precision.
    is_current,
    -- statistic@space.
    metric,
    -- Version of the statistic's definition.
    version,
    -- Which values are better: lower or higher.
    direction,
    -- Generated images in each block.
    n,
    -- The training run: with preset, one curve.
    training,
    -- Sampler settings.
    preset,
    -- Passes over the training data that the weights have seen.
    epochs,
    -- Set of weights.
    variant,
    -- Mean over blocks.
    value,
    -- Standard error of value.
    stderr
) AS
SELECT
    suite,
    suite_digest,
    precision,
    is_current,
    metric,
    version,
    direction,
    n,
    training,
    preset,
    epochs,
    variant,
    value,
    stderr
FROM leaderboard
JOIN variants USING (variant)
WHERE training IS NOT NULL;

-- One row a checkpoint that has a lower FID than every earlier one of its curve. The epochs that a training took to FID x
-- are min(epochs) of its rows with fid <= x; no such row: not reached.
CREATE VIEW epochs_to_fid (
    -- The protocol.
    suite,
    -- Identity of the protocol.
    suite_digest,
    -- How features were computed: exact or fast.
    precision,
    -- Whether suite_digest is that of the suite's latest record of this precision.
    is_current,
    -- Generated images in each block.
    n,
    -- The training run.
    training,
    -- Sampler settings.
    preset,
    -- Passes over the training data.
    epochs,
    -- fd@inception-tf of the checkpoint.
    fid,
    -- Standard error of fid.
    stderr
) AS
SELECT
    suite,
    suite_digest,
    precision,
    is_current,
    n,
    training,
    preset,
    epochs,
    value AS fid,
    stderr
FROM training_curve
WHERE metric = 'fd@inception-tf'
WINDOW earlier AS (
    PARTITION BY suite_digest, version, n, training, preset
    ORDER BY epochs
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
)
QUALIFY value < coalesce(min(value) OVER earlier, 'infinity');
