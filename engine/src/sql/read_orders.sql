-- Outcomes by code.
SELECT code, record FROM order_records WHERE code = ANY ($1)
