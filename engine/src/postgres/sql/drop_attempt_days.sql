-- Drops the partitions of a FlashSale ($1) for days that ended more than $2 days ago.
-- The function is in migrations/0006_attempts.sql.
SELECT drop_attempt_days($1, (now() AT TIME ZONE 'UTC')::date - $2)
