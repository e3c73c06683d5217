-- Creates the partitions of $2 days from the day of $1 on, Unix time in microseconds; null is now.
-- The function is in migrations/0003_lifecycle.sql.
SELECT make_attempt_days(
           (coalesce('epoch'::timestamptz + $1::bigint * interval '1 microsecond', now())
               AT TIME ZONE 'UTC')::date,
           $2)
