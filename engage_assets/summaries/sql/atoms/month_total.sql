-- One row a month. Sessions count where they start: with their first session start, else with their first event.
-- Relations: user_days, session_days (with the days around the months, for sessions over midnight).
WITH starts AS (
  SELECT
    service,
    coalesce(min(date) FILTER (WHERE has_session_start), min(date)) AS start_date
  FROM session_days
  GROUP BY service, session_id
),
sessions AS (
  SELECT service, CAST(date_trunc('month', start_date) AS DATE) AS month, count(*) AS sessions FROM starts GROUP BY ALL
),
users AS (
  SELECT
    service,
    CAST(date_trunc('month', date) AS DATE) AS month,
    count(DISTINCT user_id) AS active_users,
    CAST(sum(events) AS BIGINT) AS events,
    min(date) AS first_date,
    max(date) AS last_date,
    count(DISTINCT date) AS days
  FROM user_days
  GROUP BY ALL
)
SELECT users.service, users.month, active_users, coalesce(sessions.sessions, 0) AS sessions, events, first_date, last_date, days
FROM users
LEFT JOIN sessions ON sessions.service = users.service AND sessions.month = users.month
