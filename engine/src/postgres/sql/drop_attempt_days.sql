-- Drops the partitions of days that ended more than $1 days ago.
-- The function is in migrations/0003_lifecycle.sql.
SELECT drop_attempt_days((now() AT TIME ZONE 'UTC')::date - $1)
