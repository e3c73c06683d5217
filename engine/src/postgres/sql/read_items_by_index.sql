-- Some items of a catalogue.
SELECT idx, id, name, image_url FROM items WHERE sale_id = $1 AND idx = ANY ($2)
