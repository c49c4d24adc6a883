-- The day's events and those of the 24 hours before, each once; of copies up to 48 hours before the day the first stays.
-- Parameters: start, until (both UTC). Relation: arrived.
CREATE OR REPLACE TEMP TABLE repeated AS
SELECT hash(event_id) AS key
FROM arrived
WHERE event_time >= $start - INTERVAL 48 HOURS AND event_time < $until
GROUP BY key
HAVING count(*) > 1;

-- Of several records under one id the first by time stays, then by content, then the one that arrived first.
CREATE OR REPLACE TEMP TABLE first_of_repeated AS
SELECT *
FROM arrived
WHERE event_time >= $start - INTERVAL 48 HOURS AND event_time < $until AND hash(event_id) IN (SELECT key FROM repeated)
QUALIFY row_number() OVER (
  PARTITION BY event_id
  ORDER BY
    event_time, event NULLS FIRST, user_id NULLS FIRST, session_id NULLS FIRST, action NULLS FIRST,
    menu_name NULLS FIRST, page NULLS FIRST, product_id NULLS FIRST, product_name NULLS FIRST, category NULLS FIRST,
    seller NULLS FIRST, source NULLS FIRST, search_term NULLS FIRST, quantity NULLS FIRST, price NULLS FIRST,
    result_count NULLS FIRST, order_id NULLS FIRST, amount NULLS FIRST, payment_method NULLS FIRST,
    from_path NULLS FIRST, to_path NULLS FIRST, is_path_only, is_quantity_invalid, is_price_invalid,
    is_result_count_invalid, is_amount_invalid, days_late
) = 1;

CREATE OR REPLACE TEMP VIEW near AS
SELECT arrived.*
FROM arrived
ANTI JOIN repeated ON hash(arrived.event_id) = repeated.key
UNION ALL
SELECT * FROM first_of_repeated;
