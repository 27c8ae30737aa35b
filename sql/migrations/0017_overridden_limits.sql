-- 0017_overridden_limits: what somebody says of a limit holds until the code says another thing.
-- needs: 1
--
-- Run once by `asyncjobs migrate`. Programs that know only the version before go on to say at
-- each of their starts what holds, whatever somebody has changed.
alter table :"schema".limits
-- What the code said before somebody changed it: [concurrency, burst, gap]; null if nobody did.
add column overridden text;
