comment on column vessel.kind is 'C = catamaran, M = monohull, H = hydrofoil';
comment on column ticket.fare_class is 'the class that was paid for';
