-- Answered attempts that are new, in a batch. One that is there already fails all of them; then
-- log_attempts.sql tells the new ones from those.
COPY checkout_attempts
     (attempt_id, attempted_at, sale_id, user_id, item_id, code, outcome, request_id)
FROM STDIN WITH (FORMAT binary)
