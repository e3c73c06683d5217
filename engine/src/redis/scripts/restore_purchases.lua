-- Merges purchases that Postgres has into the sale's slot: what Redis lacks after it lost
-- its data, or after a failover to an old replica.
--
-- Guarantees: idempotent; only adds. mark_ready.lua makes the sale ready, last.
--
-- KEYS  1 meta  2 sold  3 bought
-- ARGV  per purchase: item index, user, user slot, sale slot (0 for none)
-- Returns how many items were not known as sold.

local sold = tonumber(redis.call('HGET', KEYS[1], 'sold') or 0)
local next_slot = tonumber(redis.call('HGET', KEYS[1], 'next_slot') or 1)
local added = 0
for i = 1, #ARGV, 4 do
  added = added + 1 - redis.call('SETBIT', KEYS[2], ARGV[i], 1)
  local user, slot = ARGV[i + 1], tonumber(ARGV[i + 2])
  local slots = redis.call('HGET', KEYS[3], user) or ''
  slots = slots .. string.rep('0', slot - #slots)
  slots = string.sub(slots, 1, slot - 1) .. '1' .. string.sub(slots, slot + 1)
  redis.call('HSET', KEYS[3], user, slots)
  next_slot = math.max(next_slot, tonumber(ARGV[i + 3]) + 1)
end
redis.call('HSET', KEYS[1], 'sold', sold + added, 'next_slot', next_slot)
return added
