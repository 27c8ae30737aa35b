-- drop_broken_index: remove what a rebuild that was cut off has left.
--
-- Run by one worker, where a group allows it (mend_tables). Not inside a transaction. :"name" is
-- the index, whose name ends in _ccnew or _ccold, and perhaps a number.
drop index concurrently if exists :"schema".:"name";
