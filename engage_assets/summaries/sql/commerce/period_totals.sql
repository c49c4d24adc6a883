-- One row a commerce table: its distinct counts over all keys, which must not be added up from the table's rows,
-- and both sides of its rate. An event is what the table's first count counts.
WITH clicks AS (
  SELECT COUNT(*) AS total_events, COUNT(DISTINCT user_id) AS unique_users, COUNT(DISTINCT session_id) AS unique_sessions
  FROM events
  WHERE service = :service
    AND business_date BETWEEN :button_interaction_start AND :calculation_date
    AND kind = 'button_click'
    AND action IS NOT NULL
),
products AS (
  SELECT COUNT(*) AS total_events, COUNT(DISTINCT user_id) AS unique_users, COUNT(DISTINCT session_id) AS unique_sessions
  FROM events
  WHERE service = :service
    AND business_date BETWEEN :product_ranking_start AND :calculation_date
    AND kind = 'cart_add'
    AND product_id IS NOT NULL
),
categories AS (
  SELECT COUNT(*) AS total_events, COUNT(DISTINCT user_id) AS unique_users, COUNT(DISTINCT session_id) AS unique_sessions
  FROM events
  WHERE service = :service
    AND business_date BETWEEN :category_performance_start AND :calculation_date
    AND kind = 'cart_add'
),
sources AS (
  SELECT COUNT(*) AS total_events, COUNT(DISTINCT user_id) AS unique_users, COUNT(DISTINCT session_id) AS unique_sessions
  FROM events
  WHERE service = :service
    AND business_date BETWEEN :cart_source_start AND :calculation_date
    AND kind = 'cart_add'
),
searches AS (
  SELECT COUNT(*) AS total_events, COUNT(DISTINCT user_id) AS unique_users, COUNT(DISTINCT session_id) AS unique_sessions
  FROM events
  WHERE service = :service
    AND business_date BETWEEN :search_analytics_start AND :calculation_date
    AND kind = 'search'
    AND search_term IS NOT NULL
),
-- A session counts as clicked where it clicked a result of a term that it searched.
terms_of_sessions AS (
  SELECT session_id,
         COUNT(CASE WHEN kind = 'search' THEN 1 END) AS searches,
         COUNT(CASE WHEN kind = 'result_click' THEN 1 END) AS clicks
  FROM events
  WHERE service = :service
    AND business_date BETWEEN :search_analytics_start AND :calculation_date
    AND kind IN ('search', 'result_click')
    AND search_term IS NOT NULL
    AND session_id IS NOT NULL
  GROUP BY session_id, search_term
),
search_rate AS (
  SELECT COUNT(DISTINCT CASE WHEN clicks > 0 THEN session_id END) AS clicked_sessions,
         COUNT(DISTINCT session_id) AS search_sessions
  FROM terms_of_sessions
  WHERE searches > 0
),
traffic AS (
  SELECT COUNT(*) AS sessions, COUNT(CASE WHEN has_cart THEN 1 END) AS cart_sessions
  FROM sessions
  WHERE start_date >= :hourly_traffic_start
),
visitors AS (
  SELECT COUNT(DISTINCT user_id) AS unique_users
  FROM user_day
  WHERE service = :service
    AND date BETWEEN :hourly_traffic_start AND :calculation_date
),
bought AS (
  SELECT COUNT(*) AS total_events, COUNT(DISTINCT user_id) AS unique_users, COUNT(DISTINCT session_id) AS unique_sessions
  FROM purchases
  WHERE date >= :purchase_analytics_start
),
flows AS (
  SELECT COUNT(*) AS total_events, COUNT(DISTINCT user_id) AS unique_users, COUNT(DISTINCT session_id) AS unique_sessions
  FROM events
  WHERE service = :service
    AND business_date BETWEEN :navigation_flow_start AND :calculation_date
    AND kind = 'page_change'
    AND from_path <> to_path
),
totals AS (
  SELECT 'button_interaction' AS table_name, :button_interaction_start AS window_start,
         :button_interaction_days AS window_days, total_events, unique_users, unique_sessions,
         CAST(NULL AS BIGINT) AS rate_numerator, CAST(NULL AS BIGINT) AS rate_denominator
  FROM clicks
  UNION ALL
  SELECT 'product_ranking', :product_ranking_start, :product_ranking_days, total_events, unique_users, unique_sessions,
         CAST(NULL AS BIGINT), CAST(NULL AS BIGINT)
  FROM products
  UNION ALL
  SELECT 'search_analytics', :search_analytics_start, :search_analytics_days, total_events, unique_users,
         unique_sessions, clicked_sessions, search_sessions
  FROM searches
  CROSS JOIN search_rate
  UNION ALL
  SELECT 'category_performance', :category_performance_start, :category_performance_days, total_events, unique_users,
         unique_sessions, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT)
  FROM categories
  UNION ALL
  SELECT 'hourly_traffic', :hourly_traffic_start, :hourly_traffic_days, sessions, unique_users, sessions,
         cart_sessions, sessions
  FROM traffic
  CROSS JOIN visitors
  UNION ALL
  SELECT 'purchase_analytics', :purchase_analytics_start, :purchase_analytics_days, total_events, unique_users,
         unique_sessions, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT)
  FROM bought
  UNION ALL
  SELECT 'navigation_flow', :navigation_flow_start, :navigation_flow_days, total_events, unique_users, unique_sessions,
         CAST(NULL AS BIGINT), CAST(NULL AS BIGINT)
  FROM flows
  UNION ALL
  SELECT 'cart_source', :cart_source_start, :cart_source_days, total_events, unique_users, unique_sessions,
         total_events, total_events
  FROM sources
)
SELECT :service AS service,
       :calculation_date AS calculation_date,
       window_start,
       window_days,
       table_name,
       total_events,
       unique_users,
       unique_sessions,
       rate_numerator,
       rate_denominator
FROM totals
ORDER BY table_name
