-- Whether this session was started by the connection that asks, and whether it refuses writes: a
-- standby does, and so does a user whose default is read-only.
SELECT coalesce(current_setting('flashsale.session', true) = 'dedicated', false) AS is_dedicated,
       current_setting('transaction_read_only')::boolean AS is_read_only
