-- Answered attempts that are new, in a batch. One that is there already fails all of them; then
-- insert_attempts.sql inserts the new ones alone.
COPY checkout_attempts
     (attempt_id, attempted_at, sale_id, user_id, item_id, code, outcome, request_id)
FROM STDIN WITH (FORMAT binary)
