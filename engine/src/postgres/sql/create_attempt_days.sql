-- Creates the partitions of a FlashSale ($1) for $3 days from the day of $2 on, Unix time in
-- microseconds; null is now. The function is in migrations/0006_attempts.sql.
SELECT make_attempt_days(
           $1,
           (coalesce('epoch'::timestamptz + $2::bigint * interval '1 microsecond', now())
               AT TIME ZONE 'UTC')::date,
           $3)
