-- Epochs after which each training of the zoo has an unguided FID no larger than SiT's at the end of its own, and how
-- many times faster than SiT that is:  genbench sql --file zoo/speedup.sql
-- EP_FID is read off the snapshots: the threshold was passed after `above` and not later than `epochs`. A training that
-- did not reach it has "> " and its last snapshot, and no factor.
WITH curve AS (
    SELECT training, epochs, value, lag(epochs, 1, 0) OVER (PARTITION BY training ORDER BY epochs) AS before
    FROM training_curve
    WHERE suite = 'emoji32-training' AND metric = 'fd@inception-tf' AND is_current
),
goal AS (
    SELECT arg_max(value, epochs) AS fid FROM curve WHERE training = 'sit-small-emoji32'
),
reached AS (
    SELECT
        training,
        max(epochs) AS last,
        min(epochs) FILTER (WHERE value <= fid) AS epochs,
        min(before) FILTER (WHERE value <= fid) AS above
    FROM curve, goal
    GROUP BY training
)
SELECT
    training,
    fid,
    coalesce(printf('%.1f', epochs), printf('> %.1f', last)) AS epochs,
    above,
    round((SELECT epochs FROM reached WHERE training = 'sit-small-emoji32') / epochs, 2) AS speedup
FROM reached, goal
ORDER BY reached.epochs NULLS LAST, training
