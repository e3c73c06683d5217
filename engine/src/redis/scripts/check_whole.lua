-- Checks whether this master has everything of a cart partition, or of a sale's slot.
--
-- KEYS  1 meta
-- Returns {id of the master, 1 where it has everything, else 0}.

local meta = redis.call('HMGET', KEYS[1], 'ready', 'master')
if meta[1] ~= FORMAT then
  return redis.error_reply(meta[1] and OTHER_FORMAT or UNSEEDED)
end
local master = master_id()
if meta[2] == master or adopt(KEYS[1], meta[2]) then
  return { master, 1 }
end
return { master, 0 }
