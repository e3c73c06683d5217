-- The format of what Redis holds of a sale is fixed when the sale is seeded, and Postgres holds
-- outcomes in columns alone: a process encodes them in the format of their sale.

ALTER TABLE sales
    ADD COLUMN format smallint NOT NULL DEFAULT 1 CHECK (format > 0);

COMMENT ON COLUMN sales.format IS 'the version of the format of what Redis holds of the sale';

DROP VIEW order_records;

-- Outcomes by code: items and results run in parallel, in the order of the cart, and so do the
-- slots, which are 0 for an item that was not sold.
CREATE VIEW order_outcomes AS
SELECT o.code, o.sale_id, o.user_id, o.request_id,
       (extract(epoch FROM o.ordered_at) * 1000)::bigint AS at_ms,
       o.items, o.results, slots.user_slots, slots.sale_slots
  FROM orders o
 CROSS JOIN LATERAL (
       SELECT array_agg(coalesce(p.user_slot, 0) ORDER BY item.place) AS user_slots,
              array_agg(coalesce(p.sale_slot, 0) ORDER BY item.place) AS sale_slots
         FROM UNNEST(o.items, o.results) WITH ORDINALITY AS item (idx, result, place)
         LEFT JOIN purchases p ON p.sale_id = o.sale_id AND p.item_idx = item.idx
                              AND item.result = 'sold') slots;
