-- The log of checkout attempts in its final shape: rows are compact, a cart is found by its code, and
-- each FlashSale keeps its own days. The view `checkout_attempts` has the columns from before.

-- The number of a FlashSale, which its attempts have in the place of its name.
CREATE TABLE flash_sales (
    no   integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,   -- from 1
    name text COLLATE "C" NOT NULL UNIQUE                    -- <namespace>.<name>
);

-- The words of outcomes. Their list is `AttemptOutcome` in engine/src/domain/attempt.rs; a test
-- compares both.
CREATE TABLE attempt_outcomes (
    no   smallint PRIMARY KEY,
    word text NOT NULL UNIQUE
);

INSERT INTO attempt_outcomes (no, word) VALUES
    (0, 'added'),
    (1, 'in_cart'),
    (10, 'sale_not_active'),
    (11, 'unknown_item'),
    (12, 'item_of_another_sale'),
    (13, 'already_sold'),
    (14, 'sold_out'),
    (15, 'limit_reached'),
    (16, 'cart_full'),
    (30, 'invalid_user_id'),
    (31, 'invalid_item_id'),
    (32, 'invalid_request'),
    (33, 'body_too_large'),
    (34, 'request_timeout');

-- A partition is a FlashSale, and in it a UTC day: retention and the deletion of a FlashSale drop
-- tables. The key serves two ends: an attempt is there once, and the attempts of a code lie side by
-- side in the order of their times. Codes begin with their partition and their time, so that new
-- rows come to few places of it.
CREATE TABLE attempts (
    attempted_at  timestamptz NOT NULL,
    attempt_id    uuid        NOT NULL,   -- drawn by the API process that answered
    flash_sale_no integer     NOT NULL,   -- 0: of a FlashSale that nothing names
    sale_minute   integer     NOT NULL,   -- start of the sale, minutes since 1970; 0: no sale was active
    outcome       smallint    NOT NULL,   -- attempt_outcomes.no
    code_suffix   text COLLATE "C" NOT NULL,   -- the code behind the sale id; empty: no cart
    user_id       text,                   -- null: missing or not a valid id
    item_id       text,                   -- null: missing or not a valid id
    request_id    text        NOT NULL,
    PRIMARY KEY (sale_minute, code_suffix, attempted_at, attempt_id, flash_sale_no)
) PARTITION BY LIST (flash_sale_no);

-- Holds what comes before its FlashSale has a partition, so that no attempt is lost.
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;

-- Up to when everything that an API process answered is in this database, by the clock of this
-- server. A process that stops deletes its row.
CREATE TABLE watermarks (
    process         bigint      PRIMARY KEY,   -- drawn by the process
    flash_sale      text        NOT NULL,
    settled_through timestamptz NOT NULL,
    seen_at         timestamptz NOT NULL       -- when the process wrote this
) WITH (fillfactor = 50);

-- The number of a FlashSale; it gets one where it has none.
CREATE FUNCTION number_of_flash_sale(flash_sale text) RETURNS integer
LANGUAGE plpgsql STRICT AS $$
DECLARE
    number integer;
BEGIN
    SELECT f.no INTO number FROM flash_sales f WHERE f.name = flash_sale;
    IF number IS NULL THEN
        INSERT INTO flash_sales (name) VALUES (flash_sale) ON CONFLICT DO NOTHING;
        SELECT f.no INTO number FROM flash_sales f WHERE f.name = flash_sale;
    END IF;
    RETURN number;
END $$;

-- The start that a sale id ends with, in minutes since 1970.
CREATE FUNCTION minute_of_sale(sale_id text) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (extract(epoch FROM make_timestamp(
                substr(label, 1, 4)::integer, substr(label, 5, 2)::integer,
                substr(label, 7, 2)::integer, substr(label, 10, 2)::integer,
                substr(label, 12, 2)::integer, 0)) / 60)::integer
      FROM right(sale_id, 14) AS label
$$;

-- Makes the partition of a FlashSale where it is missing. What came before it moves into it.
CREATE FUNCTION make_attempts_of(number integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    own text := 'attempts_' || number;
BEGIN
    IF to_regclass(own) IS NOT NULL THEN
        RETURN;
    END IF;
    -- From here to the end of the transaction nothing comes into the default partition, so that
    -- what is moved is all there is of this FlashSale.
    LOCK TABLE attempts_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format(
        'CREATE TABLE %I (LIKE attempts INCLUDING ALL) PARTITION BY RANGE (attempted_at)', own);
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', own || '_default', own);
    EXECUTE format(
        'WITH moved AS (DELETE FROM attempts_default WHERE flash_sale_no = %s RETURNING *)
         INSERT INTO %I SELECT * FROM moved', number, own);
    EXECUTE format('ALTER TABLE attempts ATTACH PARTITION %I FOR VALUES IN (%s)', own, number);
END $$;

-- Makes the partitions of a FlashSale for `days` days from `first`; days that are there stay as they
-- are. A day whose partition comes late has its rows in the default partition: they move.
CREATE FUNCTION make_attempt_days(flash_sale text, first date, days integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    own text := 'attempts_' || number_of_flash_sale(flash_sale);
    day date;
    day_begins timestamptz;
    day_ends timestamptz;
    partition text;
BEGIN
    -- Two callers at once would both find the day missing.
    PERFORM pg_advisory_xact_lock(hashtext('attempts'));
    PERFORM make_attempts_of(number_of_flash_sale(flash_sale));
    FOR day IN SELECT first + n FROM generate_series(0, days - 1) AS n LOOP
        partition := own || '_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(partition) IS NOT NULL;
        day_begins := day::timestamp AT TIME ZONE 'UTC';
        day_ends := (day + 1)::timestamp AT TIME ZONE 'UTC';
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', own || '_default');
        EXECUTE format('CREATE TABLE %I (LIKE attempts INCLUDING ALL)', partition);
        EXECUTE format(
            'WITH moved AS (DELETE FROM %I WHERE attempted_at >= %L AND attempted_at < %L RETURNING *)
             INSERT INTO %I SELECT * FROM moved',
            own || '_default', day_begins, day_ends, partition);
        EXECUTE format(
            'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            own, partition, day_begins, day_ends);
    END LOOP;
END $$;

-- Drops the partitions of a FlashSale for days before `keep_from`, and older rows that never got
-- one; returns how many partitions it dropped. Deletes watermarks of processes that died, too.
CREATE FUNCTION drop_attempt_days(flash_sale text, keep_from date) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    number integer := (SELECT f.no FROM flash_sales f WHERE f.name = drop_attempt_days.flash_sale);
    own text := 'attempts_' || number;
    keep_from_time timestamptz := keep_from::timestamp AT TIME ZONE 'UTC';
    partition text;
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('attempts'));
    DELETE FROM watermarks w
     WHERE w.flash_sale = drop_attempt_days.flash_sale AND w.seen_at < now() - interval '1 day';
    DELETE FROM attempts_default
     WHERE flash_sale_no = number AND attempted_at < keep_from_time;
    IF to_regclass(own) IS NULL THEN
        RETURN dropped;
    END IF;
    FOR partition IN
        SELECT c.relname
          FROM pg_inherits i
          JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = to_regclass(own)
           AND c.relname ~ '_[0-9]{8}$'
           AND to_date(right(c.relname, 8), 'YYYYMMDD') < keep_from
    LOOP
        EXECUTE format('DROP TABLE %I', partition);
        dropped := dropped + 1;
    END LOOP;
    EXECUTE format('DELETE FROM %I WHERE attempted_at < %L', own || '_default', keep_from_time);
    RETURN dropped;
END $$;

-- Deletes everything that is kept of a FlashSale whose sales are all retired. Items go with their
-- sales.
CREATE FUNCTION delete_flash_sale(flash_sale text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    number integer := (SELECT f.no FROM flash_sales f WHERE f.name = delete_flash_sale.flash_sale);
    deleted text[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('attempts'));
    WITH gone AS (
        DELETE FROM sales s WHERE s.flash_sale = delete_flash_sale.flash_sale RETURNING s.id
    )
    SELECT array_agg(id) INTO deleted FROM gone;
    DELETE FROM watermarks w WHERE w.flash_sale = delete_flash_sale.flash_sale;
    DELETE FROM purchases WHERE sale_id = ANY (deleted);
    DELETE FROM orders WHERE sale_id = ANY (deleted);
    IF number IS NOT NULL THEN
        DELETE FROM attempts_default WHERE flash_sale_no = number;
        EXECUTE format('DROP TABLE IF EXISTS %I', 'attempts_' || number);
        DELETE FROM flash_sales WHERE no = number;
    END IF;
END $$;

-- --- What was logged before --------------------------------------------------------------------

ALTER TABLE checkout_attempts RENAME TO checkout_attempts_before;
DROP FUNCTION make_attempt_days(date, integer);
DROP FUNCTION drop_attempt_days(date);

INSERT INTO flash_sales (name)
SELECT DISTINCT left(b.sale_id, -15) FROM checkout_attempts_before b WHERE b.sale_id IS NOT NULL;

-- Days that hold rows become partitions. The limit keeps the locks of this transaction within what
-- a server with its defaults has; rows of other days stay in the default partition of their
-- FlashSale.
SELECT make_attempt_days(logged.flash_sale, logged.day, 1)
  FROM (SELECT left(b.sale_id, -15) AS flash_sale, (b.attempted_at AT TIME ZONE 'UTC')::date AS day
          FROM checkout_attempts_before b
         WHERE b.sale_id IS NOT NULL
         GROUP BY 1, 2
         ORDER BY 2 DESC
         LIMIT 300) logged;

INSERT INTO attempts
       (attempted_at, attempt_id, flash_sale_no, sale_minute, outcome, code_suffix, user_id, item_id,
        request_id)
SELECT b.attempted_at, b.attempt_id, coalesce(f.no, 0), coalesce(minute_of_sale(b.sale_id), 0),
       o.no, coalesce(substring(b.code FROM '[^-]*$'), ''), b.user_id, b.item_id, b.request_id
  FROM checkout_attempts_before b
  LEFT JOIN attempt_outcomes o ON o.word = b.outcome
  LEFT JOIN flash_sales f ON f.name = left(b.sale_id, -15);

DROP TABLE checkout_attempts_before;

-- --- The view ----------------------------------------------------------------------------------

-- Every answered call of POST /checkout, for people. Conditions on `attempted_at` skip partitions.
CREATE VIEW checkout_attempts AS
SELECT a.attempt_id, a.attempted_at, sale.id AS sale_id, a.user_id, a.item_id,
       CASE WHEN a.code_suffix <> '' THEN concat('CHK-', sale.id, '-', a.code_suffix) END AS code,
       coalesce(o.word, a.outcome::text) AS outcome, a.request_id
  FROM attempts a
  LEFT JOIN flash_sales f ON f.no = a.flash_sale_no
  LEFT JOIN attempt_outcomes o ON o.no = a.outcome
 CROSS JOIN LATERAL (
       SELECT CASE WHEN a.sale_minute <> 0 THEN
                  concat(f.name, '.', to_char(timestamp 'epoch' + a.sale_minute * interval '1 minute',
                                              'YYYYMMDD"T"HH24MI"Z"'))
              END AS id) sale;

-- Processes of the version before write to the view while they are replaced.
CREATE FUNCTION insert_checkout_attempt() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO attempts
           (attempted_at, attempt_id, flash_sale_no, sale_minute, outcome, code_suffix, user_id,
            item_id, request_id)
    VALUES (NEW.attempted_at, NEW.attempt_id,
            coalesce(number_of_flash_sale(left(NEW.sale_id, -15)), 0),
            coalesce(minute_of_sale(NEW.sale_id), 0),
            (SELECT no FROM attempt_outcomes WHERE word = NEW.outcome),
            coalesce(substring(NEW.code FROM '[^-]*$'), ''), NEW.user_id, NEW.item_id, NEW.request_id)
        ON CONFLICT DO NOTHING;
    RETURN NEW;
END $$;

CREATE TRIGGER insert_checkout_attempt
    INSTEAD OF INSERT ON checkout_attempts
    FOR EACH ROW EXECUTE FUNCTION insert_checkout_attempt();

-- --- Outcomes ----------------------------------------------------------------------------------

-- As before, with empty lists of slots where an order has no items.
CREATE OR REPLACE VIEW order_outcomes AS
SELECT o.code, o.sale_id, o.user_id, o.request_id,
       (extract(epoch FROM o.ordered_at) * 1000)::bigint AS at_ms,
       o.items, o.results, slots.user_slots, slots.sale_slots
  FROM orders o
 CROSS JOIN LATERAL (
       SELECT coalesce(array_agg(coalesce(p.user_slot, 0) ORDER BY item.place), '{}') AS user_slots,
              coalesce(array_agg(coalesce(p.sale_slot, 0) ORDER BY item.place), '{}') AS sale_slots
         FROM UNNEST(o.items, o.results) WITH ORDINALITY AS item (idx, result, place)
         LEFT JOIN purchases p ON p.sale_id = o.sale_id AND p.item_idx = item.idx
                              AND item.result = 'sold') slots;
