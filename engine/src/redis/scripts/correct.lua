-- Corrects what Redis holds of one code after Postgres decided otherwise: sets what is sold,
-- releases what is not, and writes an event for the readers of the stream.
--
-- Guarantees: idempotent.
--
-- KEYS  1 meta  2 sold  3 bought  4 outcomes  5 events  6 free_slots
-- ARGV  1 code suffix  2 outcome as Postgres has it  3 user  4 the user's slots in Postgres
--       5 item indexes that are sold  6 item indexes that no purchase has
--       7 sale slots that no purchase has  8 the highest sale slot in Postgres, 0 for none
-- Returns 1 where something was corrected, 0 where Redis agreed already.

local ready = redis.call('HGET', KEYS[1], 'ready')
if ready ~= FORMAT then
  return redis.error_reply(ready and OTHER_FORMAT or UNSEEDED)
end
local known = redis.call('HGET', KEYS[4], ARGV[1])
if known then
  local user, results = decode_outcome(known)
  local true_user, true_results = decode_outcome(ARGV[2])
  if user == true_user and results == true_results then
    return 0
  end
end

-- The slots that this code took by mistake are free again, unless Postgres holds them.
local slots = {}
for digit in string.gmatch(redis.call('HGET', KEYS[3], ARGV[3]) or '', '[01]') do
  slots[#slots + 1] = digit
end
for slot in sold_user_slots(known or '') do
  slots[tonumber(slot)] = '0'
end
local in_postgres = ARGV[4]
for slot = 1, math.max(#in_postgres, #slots) do
  if string.sub(in_postgres, slot, slot) == '1' then
    slots[slot] = '1'
  end
  slots[slot] = slots[slot] or '0'
end
slots = table.concat(slots)
redis.call('HSET', KEYS[3], ARGV[3], slots)

local sold = tonumber(redis.call('HGET', KEYS[1], 'sold') or 0)
for idx in string.gmatch(ARGV[5], '%d+') do
  sold = sold + 1 - redis.call('SETBIT', KEYS[2], idx, 1)
end
for idx in string.gmatch(ARGV[6], '%d+') do
  sold = sold - redis.call('SETBIT', KEYS[2], idx, 0)
end
for slot in string.gmatch(ARGV[7], '%d+') do
  redis.call('RPUSH', KEYS[6], slot)
end
local next_slot = tonumber(redis.call('HGET', KEYS[1], 'next_slot') or 1)
next_slot = math.max(next_slot, tonumber(ARGV[8]) + 1)

redis.call('HSET', KEYS[4], ARGV[1], ARGV[2])
local _, bought = string.gsub(slots, '1', '')
local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
local event = encode_corrected(ARGV[1], ARGV[3], bought, ARGV[5], ARGV[6])
local id = redis.call('XADD', KEYS[5], '*', 'n', seq, 'e', event)
redis.call('HSET', KEYS[1], 'sold', sold, 'next_slot', next_slot, 'last_id', id)
return 1
