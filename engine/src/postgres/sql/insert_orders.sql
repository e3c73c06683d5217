-- The fast path of a group commit: many orders and what they bought, in one statement.
-- A code that has an order already, an item, a user's slot or a sale's slot that is taken fails
-- the whole statement: nothing of a group is committed beside an older outcome. The two inserts
-- share no join: its cost would grow with the square of the group. Postgres runs the main INSERT
-- before that of the CTE, and each in the order of its arrays.
-- The statement is a transaction by itself. Whatever the server's default is, its commit waits for
-- the disk, and for a synchronous standby; the last condition has the CTE evaluated.
WITH durable AS (
    SELECT set_config('synchronous_commit', 'on', true)
     WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')
), bought AS (
    INSERT INTO purchases (code, sale_id, user_id, item_idx, user_slot, sale_slot, purchased_at)
    SELECT code, sale_id, user_id, item_idx, user_slot, NULLIF(sale_slot, 0),
           'epoch'::timestamptz + at_ms * interval '1 millisecond'
      FROM UNNEST($8::text[], $9::text[], $10::text[], $11::integer[], $12::integer[], $13::integer[], $14::bigint[])
        AS p (code, sale_id, user_id, item_idx, user_slot, sale_slot, at_ms)
)
INSERT INTO orders (code, sale_id, user_id, items, results, request_id, ordered_at)
SELECT code, sale_id, user_id,
       string_to_array(items, ',')::integer[], string_to_array(results, ','),
       request_id, 'epoch'::timestamptz + at_ms * interval '1 millisecond'
  FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
    AS c (code, sale_id, user_id, items, results, request_id, at_ms)
 WHERE (SELECT count(*) FROM durable) >= 0
