-- Merges purchases that Postgres has into the sale's slot: what Redis lacks after it lost
-- its data, or after a failover to an old replica.
--
-- Guarantees: idempotent; only adds; few commands for many purchases, so that the slot and its
-- replicas are held up for a few milliseconds. mark_ready.lua makes the sale ready, last.
--
-- KEYS  1 meta  2 sold  3 bought
-- ARGV  1 the sale slot behind those of the purchases  2 how many items  3.. the item indexes,
--       then per buyer: user, slots (a 1 for each slot that is taken)
-- Returns how many items were not known as sold.

local meta = redis.call('HMGET', KEYS[1], 'sold', 'next_slot')
local items = tonumber(ARGV[2])

local bits = {}
for i = 3, items + 2 do
  local at = #bits
  bits[at + 1], bits[at + 2], bits[at + 3], bits[at + 4] = 'SET', 'u1', ARGV[i], '1'
end
local added = 0
for _, before in ipairs(redis.call('BITFIELD', KEYS[2], unpack(bits))) do
  added = added + 1 - before
end

local function either(held, slots)
  local both = {}
  for i = 1, math.max(#held, #slots) do
    local taken = string.sub(held, i, i) == '1' or string.sub(slots, i, i) == '1'
    both[i] = taken and '1' or '0'
  end
  return table.concat(both)
end

local users = {}
for i = items + 3, #ARGV, 2 do
  users[#users + 1] = ARGV[i]
end
local bought = {}
for i, held in ipairs(redis.call('HMGET', KEYS[3], unpack(users))) do
  local slots = ARGV[items + 2 + 2 * i]
  bought[2 * i - 1] = users[i]
  bought[2 * i] = held and either(held, slots) or slots
end
redis.call('HSET', KEYS[3], unpack(bought))

redis.call('HSET', KEYS[1], 'sold', tonumber(meta[1] or 0) + added,
  'next_slot', math.max(tonumber(meta[2] or 1), tonumber(ARGV[1])))
return added
