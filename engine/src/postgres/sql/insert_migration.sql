-- Notes a migration in the transaction that applies it. Its duration is not measured.
INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
VALUES ($1, $2, true, $3, -1)
