-- The day's first event of each order, and every purchase without an order id. Relation: events (of one day).
SELECT
  service, business_date AS date, order_id, event_time, session_id, user_id, amount, payment_method, event_id,
  is_amount_invalid
FROM events
WHERE kind = 'purchase'
QUALIFY order_id IS NULL OR row_number() OVER (
  PARTITION BY order_id
  ORDER BY event_time, session_id NULLS FIRST, amount NULLS FIRST, payment_method NULLS FIRST, event_id
) = 1
ORDER BY event_time, event_id
