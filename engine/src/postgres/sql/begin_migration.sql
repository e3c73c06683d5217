-- As begin_long.sql, with patience for locks and for tables that are rewritten, and one migration at
-- a time. The lock ends with the transaction.
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL statement_timeout = '599500ms';
SET LOCAL lock_timeout = '59500ms';
SET LOCAL idle_in_transaction_session_timeout = '5s';
SELECT set_config('synchronous_commit', 'on', true)
 WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');
SELECT pg_advisory_xact_lock(hashtext('flashsale migrations'));
