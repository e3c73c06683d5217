-- A part of a catalogue.
INSERT INTO items (sale_id, idx, id, name, image_url)
SELECT $1, i.idx, i.id, i.name, i.image_url
  FROM UNNEST($2::integer[], $3::text[], $4::text[], $5::text[]) AS i (idx, id, name, image_url)
