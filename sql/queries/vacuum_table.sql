-- vacuum_table: remove the dead rows of one table.
--
-- Run by one worker, where a group allows it (mend_tables), of a table that autovacuum does not
-- keep up with. Not inside a transaction. :"name" is the table. If somebody does the same
-- already, this does nothing.
vacuum (analyze, skip_locked) :"schema".:"name";
