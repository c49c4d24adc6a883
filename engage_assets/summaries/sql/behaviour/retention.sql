-- One row a day, offset and basis: of the users active on that day (or seen first on it), those seen again on exactly
-- the day 1, 7 or 30 days later. Only days whose later day has come, and that had such users.
WITH active AS (
  SELECT user_id, date
  FROM user_day
  WHERE service = :service
    AND user_id IS NOT NULL
    AND date BETWEEN :window_start AND :calculation_date
),
newcomers AS (
  SELECT user_id, first_date
  FROM user_first_seen
  WHERE service = :service
    AND first_date BETWEEN :window_start AND :calculation_date
),
cohorts AS (
  SELECT active.user_id, active.date, newcomers.user_id IS NOT NULL AS is_new
  FROM active
  LEFT JOIN newcomers ON newcomers.user_id = active.user_id AND newcomers.first_date = active.date
),
bases AS (
  SELECT date, COUNT(*) AS active_users, COUNT(CASE WHEN is_new THEN 1 END) AS new_users
  FROM cohorts
  GROUP BY date
),
returns AS (
  SELECT cohorts.date, DATE_DIFF('day', cohorts.date, active.date) AS day_offset, is_new
  FROM cohorts
  JOIN active
    ON active.user_id = cohorts.user_id
    AND DATE_DIFF('day', cohorts.date, active.date) IN (1, 7, 30)
),
retained AS (
  SELECT date, day_offset, COUNT(*) AS active_users, COUNT(CASE WHEN is_new THEN 1 END) AS new_users
  FROM returns
  GROUP BY date, day_offset
),
offsets AS (
  SELECT day_offset, basis
  FROM (VALUES (1, 'active'), (7, 'active'), (30, 'active'), (1, 'new'), (7, 'new'), (30, 'new'))
    AS t(day_offset, basis)
),
cells AS (
  SELECT bases.date,
         offsets.day_offset,
         basis,
         CASE WHEN basis = 'new' THEN bases.new_users ELSE bases.active_users END AS base_users,
         COALESCE(CASE WHEN basis = 'new' THEN retained.new_users ELSE retained.active_users END, 0) AS retained_users
  FROM bases
  CROSS JOIN offsets
  LEFT JOIN retained ON retained.date = bases.date AND retained.day_offset = offsets.day_offset
  WHERE DATE_DIFF('day', bases.date, :calculation_date) >= offsets.day_offset
)
SELECT :service AS service,
       :calculation_date AS calculation_date,
       :window_start AS window_start,
       :window_days AS window_days,
       date AS cohort_date,
       day_offset,
       basis,
       base_users,
       retained_users,
       FLOOR(CAST(20000 * retained_users + base_users AS DOUBLE) / (2 * base_users)) / 100 AS retention_rate
FROM cells
WHERE base_users > 0
ORDER BY cohort_date, day_offset, basis
