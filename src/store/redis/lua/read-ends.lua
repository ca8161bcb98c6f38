#!lua flags=no-writes
-- Events as they are kept, for who wants to know how they ended.
--
-- KEYS     below
-- ARGV     ids
-- RETURNS  for each its state, or nothing
--@keys meta events envelopes
--@include gate
--@include beginning
return (packedStates(ARGV))
