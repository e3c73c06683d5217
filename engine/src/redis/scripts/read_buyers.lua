-- A page of the buyers of a sale, with the number of the last event that their slots hold.
--
-- Guarantees: a buyer who is there from the first page to the last is on one of them; one who comes
-- meanwhile may be missing, and one may be there twice.
--
-- KEYS  1 meta  2 bought
-- ARGV  1 cursor, 0 for the first page  2 about how many
-- Returns {epoch, seq, cursor of the next page or 0, {user, slots, user, slots...}}.

local meta = redis.call('HMGET', KEYS[1], 'ready', 'epoch', 'seq')
if not meta[1] then
  return redis.error_reply('UNSEEDED sale')
end
local page = redis.call('HSCAN', KEYS[2], ARGV[1], 'COUNT', ARGV[2])
return { meta[2], tonumber(meta[3] or 0), page[1], page[2] }
