-- Answered attempts that are new, in a batch. One that is there already fails all of them; then
-- insert_attempts.sql inserts the new ones alone.
COPY attempts
     (attempted_at, attempt_id, flash_sale_no, sale_minute, outcome, code_suffix, user_id, item_id,
      request_id)
FROM STDIN WITH (FORMAT binary)
