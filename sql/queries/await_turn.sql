-- await_turn: wait until no other worker is claiming.
--
-- Run before each claim, in its transaction, on servers without SKIP LOCKED. There two claims
-- at once would wait for each other's rows and then find them taken. The row of the first
-- worker serves as the lock; no harm is done when it goes, since claims lock their jobs too.
select workers.id
from :"schema".workers
order by workers.id
limit 1
for update;
