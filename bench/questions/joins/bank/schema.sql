create table branch (branch_id int primary key, name text not null, city text, parent_branch_id int references branch, opened date);
create table customer (customer_id int primary key, full_name text not null, city text, birth_date date, referred_by int references customer, branch_id int references branch);
create table account (account_no text primary key, owner_id int not null references customer, branch_id int references branch, kind text, balance numeric(12,2), opened_on date);
create table payment (payment_id int primary key, payer_account text not null references account, payee_account text not null references account, amount numeric(10,2), paid_at timestamp, note text);
create table card (card_no text primary key, account_no text not null references account, holder_id int references customer, brand text, expires date);
create table staff (staff_id int primary key, name text not null, branch_id int references branch, supervisor_id int references staff, hired date, salary int);
create table loan (loan_id int primary key, borrower_id int not null references customer, guarantor_id int references customer, approved_by int references staff, amount int, status text);
