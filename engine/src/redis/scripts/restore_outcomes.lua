-- Restores outcomes that Postgres has.
--
-- Guarantees: idempotent; an outcome that Redis holds stays, so that a correction finds what it
-- has to change.
--
-- KEYS  1 outcomes
-- ARGV  per outcome: code suffix, outcome
-- Returns how many were restored.

local restored = 0
for i = 1, #ARGV, 2 do
  restored = restored + redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1])
end
return restored
