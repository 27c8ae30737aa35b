-- measure_round_trip: nothing, as quickly as the server and the way to it allow.
--
-- Run by a worker before its first claim, a few times: by that it knows later which claims are
-- slow.
select 1 as answer;
