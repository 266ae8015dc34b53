create table town (town_id int primary key, name text not null, region text);
create table ground (ground_id int primary key, name text not null, capacity int, town_id int references town);
create table club (club_id int primary key, name text not null, town_id int references town, ground_id int references ground, founded int, feeder_of int references club);
create table coach (coach_id int primary key, name text not null, birth_date date, club_id int references club, trained_by int references coach);
create table player (player_id int primary key, name text not null, position text, club_id int references club, captain boolean, height_cm int, birth_date date, born_in int references town);
create table fixture (fixture_id int primary key, home_club_id int not null references club, away_club_id int not null references club, referee text, played_on date, home_goals int, away_goals int, ground_id int references ground);
create table goal (goal_id int primary key, fixture_id int not null references fixture, scorer_id int not null references player, assisted_by int references player, minute int);
create table move (player_id int not null references player, from_club_id int references club, to_club_id int references club, moved_on date, fee int);
create table rivalry (club_id int not null references club, rival_id int not null references club, since int, primary key (club_id, rival_id));
