-- Answered attempts, in a batch; one that is there already stays as it is.
INSERT INTO checkout_attempts
       (attempt_id, attempted_at, sale_id, user_id, item_id, code, outcome, request_id)
SELECT a.attempt_id, 'epoch'::timestamptz + a.at_us * interval '1 microsecond',
       a.sale_id, a.user_id, a.item_id, a.code, a.outcome, a.request_id
  FROM UNNEST($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
    AS a (attempt_id, at_us, sale_id, user_id, item_id, code, outcome, request_id)
    ON CONFLICT DO NOTHING
