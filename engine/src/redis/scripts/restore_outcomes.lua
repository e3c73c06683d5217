-- Restores outcomes that Postgres has.
--
-- Guarantees: idempotent; an outcome that Redis holds stays, so that a correction finds what it
-- has to change; few commands for many outcomes.
--
-- KEYS  1 outcomes
-- ARGV  per outcome: code suffix, outcome
-- Returns how many were restored.

local suffixes = {}
for i = 1, #ARGV, 2 do
  suffixes[#suffixes + 1] = ARGV[i]
end
local missing = {}
for i, held in ipairs(redis.call('HMGET', KEYS[1], unpack(suffixes))) do
  if not held then
    missing[#missing + 1] = suffixes[i]
    missing[#missing + 1] = ARGV[2 * i]
  end
end
if #missing == 0 then
  return 0
end
return redis.call('HSET', KEYS[1], unpack(missing))
