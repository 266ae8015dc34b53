CREATE TABLE "User" (
  "userId" integer PRIMARY KEY,
  "fullName" text NOT NULL,
  "email" text NOT NULL,
  "role" text NOT NULL,
  "managerId" integer REFERENCES "User" ("userId"),
  "isActive" boolean NOT NULL,
  "hiredOn" date NOT NULL
);
CREATE TABLE "Account" (
  "accountId" integer PRIMARY KEY,
  "name" text NOT NULL,
  "industry" text NOT NULL,
  "country" text NOT NULL,
  "employeeCount" integer,
  "annualRevenue" numeric(14,2),
  "ownerId" integer NOT NULL REFERENCES "User" ("userId"),
  "createdAt" timestamp NOT NULL
);
CREATE TABLE "Contact" (
  "contactId" integer PRIMARY KEY,
  "accountId" integer NOT NULL REFERENCES "Account" ("accountId"),
  "firstName" text NOT NULL,
  "lastName" text NOT NULL,
  "jobTitle" text,
  "email" text,
  "optedOut" boolean NOT NULL
);
CREATE TABLE "Lead" (
  "leadId" integer PRIMARY KEY,
  "company" text NOT NULL,
  "contactName" text NOT NULL,
  "source" text NOT NULL,
  "status" text NOT NULL,
  "score" integer,
  "ownerId" integer REFERENCES "User" ("userId"),
  "createdAt" timestamp NOT NULL,
  "convertedAccountId" integer REFERENCES "Account" ("accountId")
);
CREATE TABLE "Opportunity" (
  "opportunityId" integer PRIMARY KEY,
  "accountId" integer NOT NULL REFERENCES "Account" ("accountId"),
  "name" text NOT NULL,
  "stage" text NOT NULL,
  "amount" numeric(12,2),
  "probability" integer NOT NULL,
  "ownerId" integer NOT NULL REFERENCES "User" ("userId"),
  "createdOn" date NOT NULL,
  "closeDate" date NOT NULL,
  "lostReason" text
);
CREATE TABLE "OpportunityContact" (
  "opportunityId" integer NOT NULL REFERENCES "Opportunity" ("opportunityId"),
  "contactId" integer NOT NULL REFERENCES "Contact" ("contactId"),
  "contactRole" text NOT NULL,
  PRIMARY KEY ("opportunityId", "contactId")
);
CREATE TABLE "Activity" (
  "activityId" integer PRIMARY KEY,
  "opportunityId" integer NOT NULL REFERENCES "Opportunity" ("opportunityId"),
  "userId" integer NOT NULL REFERENCES "User" ("userId"),
  "type" text NOT NULL,
  "occurredAt" timestamp NOT NULL,
  "durationMinutes" integer,
  "outcome" text
);
CREATE TABLE "Subscription" (
  "subscriptionId" integer PRIMARY KEY,
  "accountId" integer NOT NULL REFERENCES "Account" ("accountId"),
  "plan" text NOT NULL,
  "mrr" numeric(10,2) NOT NULL,
  "startedOn" date NOT NULL,
  "cancelledOn" date
);
