-- One row a way from one page to another. Silver has templated the paths.
WITH flows AS (
  SELECT from_path,
         to_path,
         COUNT(*) AS transition_count,
         COUNT(session_id) AS transitions_with_session,
         COUNT(DISTINCT user_id) AS unique_users,
         COUNT(DISTINCT session_id) AS unique_sessions,
         ROW_NUMBER() OVER (ORDER BY COUNT(*) DESC, from_path ASC, to_path ASC) AS rank_no
  FROM events
  WHERE service = :service
    AND business_date BETWEEN :window_start AND :calculation_date
    AND kind = 'page_change'
    AND from_path <> to_path
  GROUP BY from_path, to_path
)
SELECT :service AS service,
       :calculation_date AS calculation_date,
       :window_start AS window_start,
       :window_days AS window_days,
       rank_no,
       from_path,
       to_path,
       transition_count,
       unique_users,
       unique_sessions,
       CAST(transitions_with_session AS DOUBLE) / NULLIF(unique_sessions, 0) AS avg_transitions_per_session
FROM flows
WHERE rank_no <= :top_n
ORDER BY rank_no
