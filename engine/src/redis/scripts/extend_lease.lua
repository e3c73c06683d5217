-- Extends a lease, or ends it.
--
-- Guarantees: a lease that ran out and that another holder took since stays as it is.
--
-- KEYS  1 lease
-- ARGV  1 token of the holder  2 milliseconds that the lease lasts from now on; 0 ends it
-- Returns 1 where the lease is the holder's, else 0.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
