-- The slow path: the outcome of one code, as its claim has it. Before its purchases: the fast path
-- takes the keys of orders first, too.
INSERT INTO orders (code, sale_id, user_id, items, results, request_id, ordered_at)
VALUES ($1, $2, $3, $4, $5, $6, 'epoch'::timestamptz + $7::bigint * interval '1 millisecond')
