COMMENT ON COLUMN "Subscription"."mrr" IS 'Monthly recurring revenue in dollars';
COMMENT ON COLUMN "Opportunity"."probability" IS 'Chance of winning, in percent';
COMMENT ON COLUMN "Contact"."optedOut" IS 'True when the contact does not want marketing mail';
