-- The fast path of a group commit: many orders and what they bought, in one statement.
-- A code that has an order already changes nothing; an item, a user's slot or a sale's slot
-- that is taken fails the whole statement, and the orders are resolved one by one.
WITH claimed AS (
    SELECT *
      FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
        AS c (code, sale_id, user_id, items, results, request_id, at_ms)
), ordered AS (
    INSERT INTO orders (code, sale_id, user_id, items, results, request_id, ordered_at)
    SELECT code, sale_id, user_id,
           string_to_array(items, ',')::integer[], string_to_array(results, ','),
           request_id, 'epoch'::timestamptz + at_ms * interval '1 millisecond'
      FROM claimed
     ORDER BY code
        ON CONFLICT (code) DO NOTHING
    RETURNING code, sale_id, user_id, ordered_at
), bought AS (
    INSERT INTO purchases (sale_id, item_idx, user_id, user_slot, sale_slot, code, purchased_at)
    SELECT o.sale_id, p.item_idx, o.user_id, p.user_slot, NULLIF(p.sale_slot, 0), o.code, o.ordered_at
      FROM UNNEST($8::text[], $9::integer[], $10::integer[], $11::integer[])
        AS p (code, item_idx, user_slot, sale_slot)
      JOIN ordered o USING (code)
     ORDER BY o.sale_id, p.item_idx
)
SELECT code FROM ordered
