-- One row a session with events on the day. Relation: events (of one day).
SELECT
  min(service) AS service,
  session_id,
  min(business_date) AS date,
  min(event_time) AS first_time,
  max(event_time) AS last_time,
  coalesce(min(event_time) FILTER (WHERE kind = 'session_start'), min(event_time)) AS start_time,
  coalesce(
    arg_min(business_hour, event_time) FILTER (WHERE kind = 'session_start'), arg_min(business_hour, event_time)
  ) AS start_hour,
  arg_min(business_hour, event_time) AS first_hour,
  count(*) FILTER (WHERE kind = 'session_start') > 0 AS has_session_start,
  count(*) AS events,
  list_sort(coalesce(list(DISTINCT event) FILTER (WHERE event IS NOT NULL), CAST([] AS VARCHAR[]))) AS event_types,
  count(DISTINCT event) AS event_type_count,
  count(*) FILTER (WHERE kind = 'product_view') > 0 AS has_view,
  count(*) FILTER (WHERE kind = 'cart_add') > 0 AS has_cart,
  count(*) FILTER (WHERE kind = 'purchase') > 0 AS has_purchase,
  list_sort(coalesce(list(DISTINCT user_id) FILTER (WHERE user_id IS NOT NULL), CAST([] AS VARCHAR[]))) AS users,
  list_sort(
    coalesce(list(DISTINCT user_id) FILTER (WHERE user_id IS NOT NULL AND kind = 'cart_add'), CAST([] AS VARCHAR[]))
  ) AS cart_users,
  count(DISTINCT user_id) AS user_count,
  count(*) FILTER (WHERE kind = 'cart_add') AS cart_adds
FROM events
WHERE session_id IS NOT NULL
GROUP BY session_id
ORDER BY session_id
