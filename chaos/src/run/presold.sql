-- Items that other users have bought before the opening: $2 of them, from the end of the catalogue,
-- each by a user of its own. Redis gets them when it is emptied and restored.
WITH sold AS (
    SELECT s.id AS sale_id, s.total_items - n AS item_idx, 'before-' || n AS user_id,
           'CHK-' || s.id || '-00' || lpad(to_hex(n), 20, '0') AS code, s.starts_at
      FROM sales s, generate_series(1, $2::integer) AS n
     WHERE s.id = $1
), bought AS (
    INSERT INTO purchases (sale_id, item_idx, user_id, user_slot, sale_slot, code, purchased_at)
    SELECT sale_id, item_idx, user_id, 1, NULL, code, starts_at FROM sold
)
INSERT INTO orders (code, sale_id, user_id, items, results, request_id, ordered_at)
SELECT code, sale_id, user_id, ARRAY[item_idx], ARRAY['sold'], 'before', starts_at FROM sold
