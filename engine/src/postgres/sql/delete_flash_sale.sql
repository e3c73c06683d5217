-- Deletes everything that is kept of a FlashSale ($1) whose sales are all retired.
-- The function is in migrations/0006_attempts.sql.
SELECT delete_flash_sale($1)
