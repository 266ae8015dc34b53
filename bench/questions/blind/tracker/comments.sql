comment on table trk_worklogs is 'time that users logged on issues';
comment on column trk_issues.type is 'bug, story, task or epic';
comment on column trk_issues.status is 'open, in_progress, in_review, done or wont_fix';
