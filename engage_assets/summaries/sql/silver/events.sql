-- The day's events. Parameters: service, day, start, until. Relation: near.
WITH clicks AS (
  SELECT session_id, event_time, event_id
  FROM near
  WHERE event_time >= $start AND event_time < $until
    AND kind = 'result_click' AND session_id IS NOT NULL AND search_term IS NULL
),
searches AS (
  SELECT session_id, event_time, max(search_term) AS term
  FROM near
  WHERE event_time >= $start - INTERVAL 30 MINUTES AND event_time < $until
    AND kind = 'search' AND session_id IS NOT NULL AND search_term IS NOT NULL
    AND session_id IN (SELECT session_id FROM clicks)
  GROUP BY session_id, event_time
),
searched AS (
  SELECT clicks.event_id, searches.term
  FROM clicks
  ASOF JOIN searches ON clicks.session_id = searches.session_id AND clicks.event_time > searches.event_time
  WHERE clicks.event_time - searches.event_time <= INTERVAL 30 MINUTES
),
changes AS (
  SELECT session_id, event_time, event_id
  FROM near
  WHERE event_time >= $start AND event_time < $until AND is_path_only AND session_id IS NOT NULL
),
pages AS (
  SELECT session_id, event_time, max(to_path) AS path
  FROM near
  WHERE event_time >= $start - INTERVAL 24 HOURS AND event_time < $until
    AND kind = 'page_change' AND session_id IS NOT NULL AND to_path IS NOT NULL
    AND session_id IN (SELECT session_id FROM changes)
  GROUP BY session_id, event_time
),
left_pages AS (
  SELECT changes.event_id, pages.path
  FROM changes
  ASOF JOIN pages ON changes.session_id = pages.session_id AND changes.event_time > pages.event_time
  WHERE changes.event_time - pages.event_time <= INTERVAL 24 HOURS
)
SELECT
  $service AS service,
  near.event_id,
  near.event_time,
  CAST($day AS DATE) AS business_date,
  CAST(hour(near.event_time + to_seconds(:offset)) AS INTEGER) AS business_hour,
  event,
  kind,
  user_id,
  session_id,
  action,
  menu_name,
  page,
  product_id,
  product_name,
  category,
  seller,
  source,
  coalesce(search_term, searched.term) AS search_term,
  searched.term IS NOT NULL AS is_term_attributed,
  quantity,
  price,
  result_count,
  order_id,
  amount,
  payment_method,
  coalesce(from_path, left_pages.path) AS from_path,
  to_path,
  CAST(CASE kind
    WHEN 'cart_add' THEN CAST(is_quantity_invalid AS INTEGER) + CAST(is_price_invalid AS INTEGER)
    WHEN 'search' THEN CAST(is_result_count_invalid AS INTEGER)
    WHEN 'purchase' THEN CAST(is_amount_invalid AS INTEGER)
    ELSE 0
  END AS INTEGER) AS invalid_values,
  kind IS NOT DISTINCT FROM 'cart_add' AND is_quantity_invalid AS is_quantity_invalid,
  kind IS NOT DISTINCT FROM 'cart_add' AND is_price_invalid AS is_price_invalid,
  kind IS NOT DISTINCT FROM 'search' AND is_result_count_invalid AS is_result_count_invalid,
  kind IS NOT DISTINCT FROM 'purchase' AND is_amount_invalid AS is_amount_invalid,
  days_late
FROM near
LEFT JOIN searched ON near.event_id = searched.event_id
LEFT JOIN left_pages ON near.event_id = left_pages.event_id
WHERE near.event_time >= $start AND near.event_time < $until
