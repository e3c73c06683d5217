-- The number of a FlashSale ($1), which its attempts have in the place of its name.
-- The function is in migrations/0006_attempts.sql.
SELECT number_of_flash_sale($1)
