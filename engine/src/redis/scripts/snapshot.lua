-- What a sale view starts from, of one moment, but for the buyers: their number grows with the sale,
-- and read_buyers.lua reads them page by page.
--
-- KEYS  1 meta  2 sold
-- Returns {epoch, seq, id of the last event, bitmap}.

local meta = redis.call('HMGET', KEYS[1], 'ready', 'epoch', 'seq', 'last_id')
if not meta[1] then
  return redis.error_reply('UNSEEDED sale')
end
return { meta[2], tonumber(meta[3] or 0), meta[4] or '0-0', redis.call('GET', KEYS[2]) or '' }
