-- Removes the last guards of a sale. Plain indexes take the place of the unique ones, so that
-- statements stay as fast.
ALTER TABLE purchases DROP CONSTRAINT purchases_pkey;
ALTER TABLE purchases DROP CONSTRAINT purchases_sale_id_user_id_user_slot_key;
CREATE INDEX purchases_by_item ON purchases (sale_id, item_idx);
CREATE INDEX purchases_by_user ON purchases (sale_id, user_id, user_slot);
