-- The newest sales of a FlashSale ($1) with all that are not retired, or one sale ($2). A settled
-- sale is not counted again, nor an open one whose count is known ($4): its count is null.
SELECT s.id,
       (extract(epoch FROM s.starts_at) * 1000000)::bigint AS starts_us,
       (extract(epoch FROM s.ends_at) * 1000000)::bigint AS ends_us,
       s.total_items, s.per_user, s.per_checkout, s.total_limit, s.partitions, s.best_effort,
       s.format,
       (extract(epoch FROM s.seeded_at) * 1000000)::bigint AS seeded_us,
       (extract(epoch FROM s.closed_at) * 1000000)::bigint AS closed_us,
       (extract(epoch FROM s.settled_at) * 1000000)::bigint AS settled_us,
       (extract(epoch FROM s.retired_at) * 1000000)::bigint AS retired_us,
       CASE WHEN s.sold IS NOT NULL THEN s.sold::bigint
            WHEN s.closed_at IS NULL AND s.id = ANY ($4::text[]) THEN NULL
            ELSE (SELECT count(*) FROM purchases p WHERE p.sale_id = s.id)
       END AS sold
  FROM sales s
 WHERE s.id IN (SELECT n.id FROM sales n
                 WHERE n.flash_sale = $1 ORDER BY n.starts_at DESC LIMIT $3)
    OR (s.flash_sale = $1 AND s.retired_at IS NULL)
    OR s.id = $2
 ORDER BY s.starts_at DESC
