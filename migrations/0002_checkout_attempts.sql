-- Every answered call of POST /checkout, for analytics. A partition is a UTC day,
-- so that retention drops tables instead of deleting rows.

CREATE TABLE checkout_attempts (
    attempt_id   uuid        NOT NULL,   -- drawn by the API process that answered
    attempted_at timestamptz NOT NULL,
    sale_id      text,                   -- null: no sale was active
    user_id      text,                   -- null: missing or not a valid id
    item_id      text,                   -- null: missing or not a valid id
    code         text,                   -- null: the attempt put nothing into a cart
    outcome      text        NOT NULL,   -- added, in_cart, or the stable code of the refusal
    request_id   text        NOT NULL,
    PRIMARY KEY (attempted_at, attempt_id)
) PARTITION BY RANGE (attempted_at);

-- Holds whatever comes outside the days made beforehand, so that no attempt is lost.
CREATE TABLE checkout_attempts_default PARTITION OF checkout_attempts DEFAULT;

-- Makes the partitions of `days` days from `first`; days that are there stay as they are.
CREATE FUNCTION make_attempt_days(first date, days integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    day date;
    partition text;
BEGIN
    -- Two callers at once would both find the day missing.
    PERFORM pg_advisory_xact_lock(hashtext('checkout_attempts'));
    FOR day IN SELECT first + n FROM generate_series(0, days - 1) AS n LOOP
        partition := 'checkout_attempts_' || to_char(day, 'YYYYMMDD');
        IF to_regclass(partition) IS NULL THEN
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF checkout_attempts FOR VALUES FROM (%L) TO (%L)',
                partition, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        END IF;
    END LOOP;
END $$;

-- Drops the partitions of days before `keep_from`; returns how many.
CREATE FUNCTION drop_attempt_days(keep_from date) RETURNS integer
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
    RETURN dropped;
END $$;
