-- The slow path: the outcome of one code.
INSERT INTO orders (code, sale_id, user_id, items, results, request_id, ordered_at)
VALUES ($1, $2, $3, $4, $5, $6, 'epoch'::timestamptz + $7::bigint * interval '1 millisecond')
