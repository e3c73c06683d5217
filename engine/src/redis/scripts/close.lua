-- Closes a sale, or one of its cart partitions: after this nothing is claimed.
--
-- Guarantees: idempotent; closes nothing before its end unless ARGV says so, so that an operator
-- whose clock is ahead does not cut a sale short.
--
-- KEYS  1 meta
-- ARGV  1 `ended` to close it only if its window has ended, `now` to close it anyway
-- Returns 0 once nothing is claimed any more (also where Redis does not hold the sale), else for
-- how many milliseconds the window is still open.

local meta = redis.call('HMGET', KEYS[1], 'ready', 'ends_ms', 'closed')
if not meta[1] or meta[3] then
  return 0
end
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local open_ms = tonumber(meta[2]) - now_ms
if ARGV[1] ~= 'now' and open_ms > 0 then
  return open_ms
end
redis.call('HSET', KEYS[1], 'closed', 1)
return 0
