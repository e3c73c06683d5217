-- Everything that a sale view starts from, of one moment.
--
-- KEYS  1 meta  2 sold  3 bought
-- Returns {epoch, seq, id of the last event, sold count, bitmap, user, slots, user, slots...}.

local meta = redis.call('HMGET', KEYS[1], 'ready', 'epoch', 'seq', 'last_id', 'sold')
if not meta[1] then
  return redis.error_reply('UNSEEDED sale')
end
local answer = redis.call('HGETALL', KEYS[3])
table.insert(answer, 1, redis.call('GET', KEYS[2]) or '')
table.insert(answer, 1, tonumber(meta[5] or 0))
table.insert(answer, 1, meta[4] or '0-0')
table.insert(answer, 1, tonumber(meta[3] or 0))
table.insert(answer, 1, meta[2])
return answer
