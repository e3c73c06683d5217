-- Restores carts that Redis lost, from the log of attempts: a batch of one partition.
--
-- Guarantees: idempotent; leaves every code and every open cart that is there as it is.
--
-- KEYS  1 carts  2 codes
-- ARGV  per cart: code suffix, user, items, `o` for the user's latest or `f` for an earlier one
-- Returns how many codes were restored.

local restored = 0
for i = 1, #ARGV, 4 do
  local suffix, user, items = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if redis.call('HEXISTS', KEYS[2], suffix) == 0 then
    restored = restored + 1
    if ARGV[i + 3] == 'o' and redis.call('HSETNX', KEYS[1], user, encode_cart(suffix, items)) == 1 then
      redis.call('HSET', KEYS[2], suffix, encode_open_code(user))
    else
      redis.call('HSET', KEYS[2], suffix, encode_frozen_code(user, items))
    end
  end
end
return restored
