-- Whether this session was started by the connection that asks, and whether it refuses writes: a
-- standby does, and so does a user whose default is read-only. From here on, each commit of a
-- dedicated session waits for the disk, and for a synchronous standby. A pooler's session keeps its
-- settings, because the next client gets it.
SELECT session.is_dedicated,
       current_setting('transaction_read_only')::boolean AS is_read_only,
       CASE WHEN session.is_dedicated THEN set_config('synchronous_commit', session.durable, false) END
  FROM (SELECT coalesce(current_setting('flashsale.session', true) = 'dedicated', false) AS is_dedicated,
               CASE WHEN current_setting('synchronous_commit') IN ('on', 'remote_apply')
                    THEN current_setting('synchronous_commit')
                    ELSE 'on' END AS durable) AS session
