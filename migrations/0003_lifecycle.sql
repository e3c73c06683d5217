-- The life of a sale, kept so that an operator that was restarted, or a second one, goes on where
-- the first was: counted once, not every second; retired for good; codes found by their sale.

ALTER TABLE sales
    ADD COLUMN retired_at timestamptz,                    -- Redis holds nothing of it any more
    ADD COLUMN sold       integer CHECK (sold >= 0);      -- counted when it was settled

COMMENT ON COLUMN sales.seeded_at IS 'the catalogue is complete and Redis holds the sale';

-- A code begins with its sale. Compared byte by byte, all codes of a sale lie side by side in the
-- primary key of orders, and need no index of their own.
DROP VIEW order_records;
ALTER TABLE orders ALTER COLUMN code TYPE text COLLATE "C";
ALTER TABLE purchases ALTER COLUMN code TYPE text COLLATE "C";
ALTER TABLE checkout_attempts ALTER COLUMN code TYPE text COLLATE "C";

-- Outcomes in the text form that the engine and its Redis scripts share:
-- user|request id|unix ms|results, a result for each item of the cart, in its order.
CREATE VIEW order_records AS
SELECT o.code, o.sale_id,
       concat_ws('|', o.user_id, o.request_id,
                 (extract(epoch FROM o.ordered_at) * 1000)::bigint,
                 (SELECT string_agg(
                             CASE item.result
                                 WHEN 'sold' THEN format('%s:s:%s:%s', item.idx, p.user_slot, coalesce(p.sale_slot, 0))
                                 WHEN 'already_sold' THEN format('%s:a', item.idx)
                                 ELSE format('%s:l', item.idx)
                             END, ',' ORDER BY item.place)
                    FROM UNNEST(o.items, o.results) WITH ORDINALITY AS item (idx, result, place)
                    LEFT JOIN purchases p ON p.sale_id = o.sale_id AND p.item_idx = item.idx
                                         AND item.result = 'sold')) AS record
  FROM orders o;

-- Makes the partitions of `days` days from `first`; days that are there stay as they are.
-- A day whose partition comes late has its rows in the default partition: they move.
CREATE OR REPLACE FUNCTION make_attempt_days(first date, days integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    day date;
    day_begins timestamptz;
    day_ends timestamptz;
    partition text;
BEGIN
    -- Two callers at once would both find the day missing.
    PERFORM pg_advisory_xact_lock(hashtext('checkout_attempts'));
    FOR day IN SELECT first + n FROM generate_series(0, days - 1) AS n LOOP
        partition := 'checkout_attempts_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(partition) IS NOT NULL;
        day_begins := day::timestamp AT TIME ZONE 'UTC';
        day_ends := (day + 1)::timestamp AT TIME ZONE 'UTC';
        -- From here to the end of the transaction nothing comes into the default partition, so
        -- that what is moved is all there is of this day.
        LOCK TABLE checkout_attempts_default IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('CREATE TABLE %I (LIKE checkout_attempts INCLUDING ALL)', partition);
        EXECUTE format(
            'WITH moved AS (DELETE FROM checkout_attempts_default
                             WHERE attempted_at >= %L AND attempted_at < %L RETURNING *)
             INSERT INTO %I SELECT * FROM moved',
            day_begins, day_ends, partition);
        EXECUTE format(
            'ALTER TABLE checkout_attempts ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            partition, day_begins, day_ends);
    END LOOP;
END $$;

-- Drops the partitions of days before `keep_from`, and older rows that never got one; returns how
-- many partitions it dropped.
CREATE OR REPLACE FUNCTION drop_attempt_days(keep_from date) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    partition text;
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('checkout_attempts'));
    FOR partition IN
        SELECT c.relname
          FROM pg_inherits i
          JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'checkout_attempts'::regclass
           AND c.relname ~ '^checkout_attempts_[0-9]{8}$'
           AND to_date(right(c.relname, 8), 'YYYYMMDD') < keep_from
    LOOP
        EXECUTE format('DROP TABLE %I', partition);
        dropped := dropped + 1;
    END LOOP;
    DELETE FROM checkout_attempts_default
     WHERE attempted_at < keep_from::timestamp AT TIME ZONE 'UTC';
    RETURN dropped;
END $$;
