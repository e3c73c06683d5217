-- What the processes of a FlashSale ($1) have published, beside the present time; one row of nulls
-- where there is no process. Unix times in microseconds.
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us, w.process,
       (extract(epoch FROM w.settled_through) * 1000000)::bigint AS settled_through_us,
       (extract(epoch FROM w.seen_at) * 1000000)::bigint AS seen_us
  FROM (VALUES (1)) AS one (n)
  LEFT JOIN watermarks w ON w.flash_sale = $1
