-- Drops the partitions of a FlashSale ($1) for days that ended more than $2 days ago.
-- The function is in migrations/0006_attempts.sql.
-- Attempts that an earlier version logged while no sale was active belong to no FlashSale. They go
-- once they are older than 30 days, which is what a FlashSale keeps unless it says otherwise, and
-- older than what this one keeps.
WITH nameless AS (
    DELETE FROM attempts_default
     WHERE flash_sale_no = 0
       AND attempted_at < now() - greatest($2, 30) * interval '1 day'
)
SELECT drop_attempt_days($1, (now() AT TIME ZONE 'UTC')::date - $2)
