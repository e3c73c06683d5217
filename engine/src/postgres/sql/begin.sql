-- Begins a transaction, whatever the session has: with limits half a second below the client's, and
-- with statements that each see what was committed before. What it commits is on disk, and on a
-- synchronous standby, before the answer.
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL statement_timeout = '2500ms';
SET LOCAL lock_timeout = '2s';
SET LOCAL idle_in_transaction_session_timeout = '5s';
SELECT set_config('synchronous_commit', 'on', true)
 WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');
