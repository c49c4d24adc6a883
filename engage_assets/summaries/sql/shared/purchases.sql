-- One row a purchase: the first event of each order over all logs kept, and every event without an order id.
-- The three days before the window are read too: a session that starts in the window may hold an earlier event.
SELECT ledger.date AS date, ledger.order_id AS order_id, session_id, user_id, amount, payment_method, is_amount_invalid
FROM purchase_ledger AS ledger
LEFT JOIN order_first_seen AS first_seen
  ON first_seen.service = ledger.service
  AND first_seen.order_id = ledger.order_id
  AND first_seen.first_date = ledger.date
WHERE ledger.service = :service
  AND ledger.date BETWEEN CAST(DATE_ADD('day', -3, :window_start) AS DATE) AND :calculation_date
  AND (ledger.order_id IS NULL OR first_seen.order_id IS NOT NULL)
