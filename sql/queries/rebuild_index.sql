-- rebuild_index: build one index anew, beside the work that goes on.
--
-- Run by one worker, where a group allows it (mend_tables), of an index that is much larger
-- than what it holds. Not inside a transaction. :"name" is the index.
--
-- Nobody waits for it: it takes a lock that only other maintenance minds.
reindex index concurrently :"schema".:"name";
