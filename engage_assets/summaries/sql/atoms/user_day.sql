-- One row a user of the day, and one without user for the events that have none. Relation: events (of one day).
SELECT
  min(service) AS service,
  user_id,
  min(business_date) AS date,
  min(event_time) AS first_time,
  max(event_time) AS last_time,
  count(*) AS events,
  count(DISTINCT session_id) AS sessions,
  count(*) FILTER (WHERE kind = 'product_view') AS product_views,
  count(*) FILTER (WHERE kind = 'cart_add') AS cart_adds,
  count(*) FILTER (WHERE kind = 'purchase') AS purchases
FROM events
GROUP BY user_id
ORDER BY user_id NULLS FIRST
