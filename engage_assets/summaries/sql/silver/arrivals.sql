-- The records of one arrival day, each with its own values, or with what is wrong with it.
-- Parameters: service, arrival. Relation: raw.
WITH timed AS (
  SELECT *, as_instant(at_text) AS event_time, CAST(event_time AS DATE) AS utc_date FROM raw
),
named AS (
  SELECT
    *,
    CASE
      WHEN event_time IS NULL AND is_blank THEN 'malformed'
      WHEN is_odd THEN 'malformed: attributes are no object'
      WHEN event_time IS NULL THEN 'no_time'
      WHEN service_name <> $service AND trimmed(service_name) <> $service THEN 'other_service'
      WHEN utc_date < $arrival - 2 THEN 'too_late'
      WHEN utc_date > $arrival + 1 THEN 'too_early'
    END AS fault,
    as_quantity(quantity_text) AS quantity,
    as_money(price_text) AS price,
    as_count(result_count_text) AS result_count,
    as_money(total_amount_text) AS amount,
    CASE WHEN kind = 'page_change' THEN bare(from_path_text) END AS from_bare,
    CASE WHEN kind = 'page_change' THEN bare(coalesce(to_path_text, path_text)) END AS to_bare
  FROM timed
),
cut AS (
  SELECT *, trimmed(from_bare) AS from_cut, trimmed(to_bare) AS to_cut FROM named
),
templated AS (
  SELECT *, templated_once(from_cut) AS from_once, templated_once(to_cut) AS to_once FROM cut
)
SELECT
  file,
  fault,
  (record_id IS NULL OR is_hollow) AND fault IS NULL AS is_unidentified,
  CAST($arrival - utc_date AS INTEGER) AS days_late,
  coalesce(record_id, fingerprint) AS event_id,
  event_time,
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
  normalised(search_term_text) AS search_term,
  quantity,
  price,
  result_count,
  order_id,
  amount,
  payment_method,
  templated_once(from_once) AS from_path,
  templated_once(to_once) AS to_path,
  kind IS NOT DISTINCT FROM 'page_change' AND from_path_text IS NULL AND to_path_text IS NULL AS is_path_only,
  quantity_text IS NOT NULL AND quantity IS NULL AS is_quantity_invalid,
  price_text IS NOT NULL AND price IS NULL AS is_price_invalid,
  result_count_text IS NOT NULL AND result_count IS NULL AS is_result_count_invalid,
  total_amount_text IS NOT NULL AND amount IS NULL AS is_amount_invalid
FROM templated
