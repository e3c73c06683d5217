-- Puts carts back that Redis lost, from the log of attempts: a batch of one partition.
--
-- Promises: idempotent; leaves every code and every open cart that is there as it is.
--
-- KEYS  1 carts  2 codes
-- ARGV  per cart: tail, user, items, `o` for the user's latest or `f` for an earlier one
-- Answers how many codes were put back.

local restored = 0
for i = 1, #ARGV, 4 do
  local tail, user, items = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if redis.call('HEXISTS', KEYS[2], tail) == 0 then
    restored = restored + 1
    if ARGV[i + 3] == 'o' and redis.call('HSETNX', KEYS[1], user, tail .. '|' .. items) == 1 then
      redis.call('HSET', KEYS[2], tail, 'o|' .. user)
    else
      redis.call('HSET', KEYS[2], tail, 'f|' .. user .. '|' .. items)
    end
  end
end
return restored
