create table member (member_id int primary key, handle text not null unique, display_name text not null, city text, joined_on date, invited_by int references member);
create table room (room_id int primary key, title text not null, topic text, created_by int not null references member, is_private boolean not null);
create table room_member (room_id int not null references room, member_id int not null references member, role text not null, primary key (room_id, member_id));
create table post (post_id int primary key, room_id int not null references room, author_id int not null references member, reply_to int references post, body text, posted_at timestamp not null);
create table direct_message (dm_id int primary key, sender_id int not null references member, recipient_id int not null references member, body text, sent_at timestamp, read_at timestamp);
create table reaction (post_id int not null references post, member_id int not null references member, emoji text not null, primary key (post_id, member_id, emoji));
create table block (blocker_id int not null references member, blocked_id int not null references member, primary key (blocker_id, blocked_id));
