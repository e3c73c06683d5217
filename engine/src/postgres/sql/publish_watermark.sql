-- Process $1 of FlashSale $2 has everything in Postgres that it answered before $3, Unix time in
-- microseconds. Returns the present time in the same unit. No process can have settled the future:
-- where it seems so, its last answer was of a server whose clock was ahead.
INSERT INTO watermarks AS w (process, flash_sale, settled_through, seen_at)
SELECT $1, $2, least('epoch'::timestamptz + $3::bigint * interval '1 microsecond', present.at), present.at
  FROM (SELECT clock_timestamp() AS at) AS present
    ON CONFLICT (process) DO UPDATE
   SET settled_through = excluded.settled_through, seen_at = excluded.seen_at
RETURNING (extract(epoch FROM w.seen_at) * 1000000)::bigint
