-- As begin.sql, for a seed, an audit or a restoration.
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL statement_timeout = '59500ms';
SET LOCAL lock_timeout = '2s';
SET LOCAL idle_in_transaction_session_timeout = '5s';
SELECT set_config('synchronous_commit', 'on', true)
 WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');
