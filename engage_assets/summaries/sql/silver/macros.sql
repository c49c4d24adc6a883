-- White space (Unicode's White_Space) off both ends; empty is null. What begins and ends with visible ASCII or Hangul is
-- left alone, fast.
CREATE TEMP MACRO trimmed(x) AS
  CASE
    WHEN x BETWEEN '!' AND '~' AND x[-1] BETWEEN '!' AND '~' THEN x
    WHEN regexp_matches(x, '^[^!-~\x{AC00}-\x{D7A3}]|[^!-~\x{AC00}-\x{D7A3}]$|^$') THEN nullif(
      regexp_replace(
        x,
        '^[\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]+|'
          '[\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]+$',
        '', 'g'
      ), ''
    )
    ELSE x
  END;

-- A search term: one space for each run of white space, small letters.
CREATE TEMP MACRO normalised(x) AS
  lower(
    CASE
      WHEN regexp_matches(x, '  |[\t-\r\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]')
        THEN regexp_replace(
          x, '[\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]+', ' ', 'g'
        )
      ELSE x
    END
  );

-- Parts of a path that are a number or a UUID become {id}. Neighbours share their slash, so that it takes two times.
CREATE TEMP MACRO has_ids(x) AS
  regexp_matches(x, '(?:^|/)(?:[0-9]+|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})(?:/|$)');
CREATE TEMP MACRO some_ids(x) AS
  regexp_replace(
    x, '(^|/)(?:[0-9]+|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})(/|$)', '\1{id}\2', 'g'
  );

-- A path without ids; the host stays. Give macros a column: they write an expression out once for each time they use it.
CREATE TEMP MACRO host_of(x) AS regexp_extract(x, '^(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/]*');
CREATE TEMP MACRO templated_once(x) AS
  CASE
    WHEN contains(x, '//') THEN host_of(x) || some_ids(substr(x, 1 + length(host_of(x))))
    WHEN has_ids(x) THEN some_ids(x)
    ELSE x
  END;
-- Without query string and fragment.
CREATE TEMP MACRO bare(x) AS
  CASE WHEN contains(x, '?') OR contains(x, '#') THEN regexp_extract(x, '^[^?#]*') ELSE x END;

CREATE TEMP MACRO as_quantity(x) AS
  CASE WHEN regexp_full_match(x, '[0-9]{1,4}') THEN nullif(CAST(x AS INTEGER), 0) END;

CREATE TEMP MACRO as_count(x) AS
  CASE WHEN regexp_full_match(x, '[0-9]{1,9}') THEN CAST(x AS INTEGER) END;

CREATE TEMP MACRO as_money(x) AS
  CASE WHEN regexp_full_match(x, '[0-9]{1,12}(?:[.][0-9]{1,2})?') THEN CAST(x AS DECIMAL(18, 2)) END;

-- An instant of ISO 8601 (without a zone: UTC), or nanoseconds since 1970; cut to microseconds.
CREATE TEMP MACRO as_instant(x) AS
  CASE
    WHEN x >= '0' AND x < ':' AND suffix(x, 'Z') AND NOT contains(x, ' ') THEN TRY_CAST(x AS TIMESTAMP)
    WHEN x >= '0' AND x < ':' AND contains(x, '-') THEN TRY_CAST(x AS TIMESTAMPTZ) AT TIME ZONE 'UTC'
    WHEN regexp_full_match(x, '[0-9]{16,19}') THEN make_timestamp(TRY_CAST(x AS BIGINT) // 1000)
  END;

-- All raw fields in one hash, whatever the order of the attributes.
CREATE TEMP MACRO entries_of(m) AS
  list_sort(list_transform(
    list_filter(map_entries(m), lambda e: e.value IS NOT NULL), lambda e: e.key || chr(31) || e.value
  ));
CREATE TEMP MACRO fingerprint(instant, body, attributes, resource) AS
  '#' || md5(array_to_string(
    [CAST(epoch_us(instant) AS VARCHAR), coalesce(body, '')]
      || coalesce(entries_of(attributes), []) || [chr(29)] || coalesce(entries_of(resource), []),
    chr(30)
  ));
