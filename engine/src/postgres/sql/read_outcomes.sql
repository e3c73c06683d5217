-- Outcomes by code: the items of each cart in their order, with the slots of those that were sold.
SELECT code, user_id, request_id, at_ms, items, results, user_slots, sale_slots
  FROM order_outcomes
 WHERE code = ANY ($1)
