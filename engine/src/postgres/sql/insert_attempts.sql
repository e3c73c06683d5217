-- Answered attempts of a FlashSale ($1, its number), in a batch; one that is there already stays as
-- it is.
INSERT INTO attempts
       (attempted_at, attempt_id, flash_sale_no, sale_minute, outcome, code_suffix, user_id, item_id,
        request_id)
SELECT 'epoch'::timestamptz + a.at_us * interval '1 microsecond', a.attempt_id, $1, a.sale_minute,
       a.outcome, a.code_suffix, a.user_id, a.item_id, a.request_id
  FROM UNNEST($2::bigint[], $3::uuid[], $4::integer[], $5::smallint[], $6::text[], $7::text[], $8::text[], $9::text[])
    AS a (at_us, attempt_id, sale_minute, outcome, code_suffix, user_id, item_id, request_id)
    ON CONFLICT DO NOTHING
