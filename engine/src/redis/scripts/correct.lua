-- Corrects what Redis holds of one code after Postgres decided otherwise: sets what is sold,
-- releases what this code holds in Redis and no purchase has, and writes an event for the readers
-- of the stream.
--
-- Guarantees: idempotent; releases nothing that another claim holds, committed or not.
--
-- KEYS  1 meta  2 sold  3 bought  4 outcomes  5 events  6 free_slots
-- ARGV  1 code suffix  2 outcome as Postgres has it  3 user  4 the user's slots in Postgres
--       5 item indexes that are sold  6 item indexes that no purchase has
--       7 sale slots that no purchase has  8 the highest sale slot in Postgres, 0 for none
-- Returns 1 where something was corrected, 0 where Redis agreed already.

local meta = redis.call('HMGET', KEYS[1], 'ready', 'sold', 'next_slot')
if meta[1] ~= FORMAT then
  return redis.error_reply(meta[1] and OTHER_FORMAT or UNSEEDED)
end
local known = redis.call('HGET', KEYS[4], ARGV[1])
local known_results = ''
if known then
  local user, results = decode_outcome(known)
  local true_user, true_results = decode_outcome(ARGV[2])
  if user == true_user and results == true_results then
    return 0
  end
  known_results = results
end

local function set_of(numbers)
  local set = {}
  for number in string.gmatch(numbers, '%d+') do
    set[number] = true
  end
  return set
end

local sold = tonumber(meta[2] or 0)
local slots, released = {}, {}
for digit in string.gmatch(redis.call('HGET', KEYS[3], ARGV[3]) or '', '[01]') do
  slots[#slots + 1] = digit
end
-- What this code took by mistake is free again. An item, or a slot, that it does not hold in Redis
-- may be held by a claim that is on its way to Postgres.
local highest_slot = #slots
local has_no_purchase, slot_has_no_purchase = set_of(ARGV[6]), set_of(ARGV[7])
for idx, user_slot, sale_slot in sold_items(known_results) do
  slots[tonumber(user_slot)] = '0'
  highest_slot = math.max(highest_slot, tonumber(user_slot))
  if has_no_purchase[idx] then
    sold = sold - redis.call('SETBIT', KEYS[2], idx, 0)
    released[#released + 1] = idx
  end
  if slot_has_no_purchase[sale_slot] then
    redis.call('RPUSH', KEYS[6], sale_slot)
  end
end

-- What Postgres has stays.
for idx in string.gmatch(ARGV[5], '%d+') do
  sold = sold + 1 - redis.call('SETBIT', KEYS[2], idx, 1)
end
local in_postgres = ARGV[4]
for slot = 1, math.max(#in_postgres, highest_slot) do
  if string.sub(in_postgres, slot, slot) == '1' then
    slots[slot] = '1'
  end
  slots[slot] = slots[slot] or '0'
end
slots = table.concat(slots)
redis.call('HSET', KEYS[3], ARGV[3], slots)
local next_slot = math.max(tonumber(meta[3] or 1), tonumber(ARGV[8]) + 1)

redis.call('HSET', KEYS[4], ARGV[1], ARGV[2])
local _, bought = string.gsub(slots, '1', '')
local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
local event = encode_corrected(ARGV[1], ARGV[3], bought, ARGV[5], table.concat(released, ','))
local id = redis.call('XADD', KEYS[5], '*', 'n', seq, 'e', event)
redis.call('HSET', KEYS[1], 'sold', sold, 'next_slot', next_slot, 'last_id', id)
return 1
