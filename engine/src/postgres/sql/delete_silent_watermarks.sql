-- Deletes what processes of a FlashSale ($1) have published that were silent for longer than $2
-- microseconds.
DELETE FROM watermarks
 WHERE flash_sale = $1
   AND seen_at < clock_timestamp() - $2::bigint * interval '1 microsecond'
