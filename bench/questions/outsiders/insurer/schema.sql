create table broker (
    broker_code text primary key,
    broker_name text not null,
    city text not null,
    commission_pct numeric(4, 1) not null,
    is_active boolean not null
);
create table product (
    product_code text primary key,
    product_name text not null,
    line_of_business text not null,
    excess_amount numeric(8, 2) not null
);
create table policyholder (
    holder_no integer primary key,
    holder_name text not null,
    holder_kind text not null,
    county text not null,
    customer_since date not null
);
create table policy (
    policy_no text primary key,
    holder_no integer not null,
    product_code text not null,
    broker_code text,
    start_date date not null,
    end_date date not null,
    annual_premium numeric(10, 2) not null,
    sum_insured numeric(12, 2) not null,
    policy_state integer not null,
    previous_policy_no text
);
create table adjuster (
    adjuster_code text primary key,
    adjuster_name text not null,
    office text not null,
    licence_level integer not null
);
create table claim (
    claim_no text primary key,
    policy_no text not null,
    adjuster_code text,
    cause_code text not null,
    loss_date date not null,
    reported_date date not null,
    closed_date date,
    claimed_amount numeric(10, 2) not null,
    decision text not null,
    fraud_suspected boolean not null
);
create table claim_payment (
    claim_no text not null,
    payment_seq integer not null,
    paid_date date not null,
    amount numeric(10, 2) not null,
    payee_kind text not null,
    primary key (claim_no, payment_seq)
);
create table premium_receipt (
    receipt_no integer primary key,
    policy_no text not null,
    received_date date not null,
    amount numeric(10, 2) not null,
    method text not null
);
comment on column policy.broker_code is 'Broker who sold the policy, empty for direct sales';
comment on column policy.policy_state is '1 = in force, 2 = expired, 3 = cancelled';
comment on column policy.previous_policy_no is 'Policy that this one renews';
comment on column policyholder.holder_kind is 'private or business';
comment on column claim.cause_code is 'FIR = fire, WAT = water damage, THF = theft, COL = collision, STM = storm, LIA = liability, OTH = other';
comment on column claim.decision is 'pending, accepted or rejected';
comment on column claim.adjuster_code is 'Loss adjuster who handles the claim, empty until one is assigned';
comment on column claim_payment.payee_kind is 'holder, garage, contractor or third party';
comment on column adjuster.licence_level is '1 = junior, 2 = senior, 3 = principal';
comment on column product.excess_amount is 'Part of each loss that the customer bears';
