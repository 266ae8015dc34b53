create table "Farmer" (
    "farmerId" integer primary key,
    "fullName" text not null,
    "village" text not null,
    "memberSince" date not null,
    "phoneNumber" text
);
create table "Field" (
    "fieldId" integer primary key,
    "farmerId" integer not null references "Farmer" ("farmerId"),
    "fieldName" text not null,
    "areaHectares" numeric(6, 1) not null,
    "soilType" text not null
);
create table "Crop" (
    "cropId" integer primary key,
    "cropName" text not null,
    "isOrganic" boolean not null
);
create table "Silo" (
    "siloId" integer primary key,
    "siloName" text not null,
    "capacityTonnes" integer not null,
    "location" text not null
);
create table "Delivery" (
    "deliveryId" integer primary key,
    "fieldId" integer not null references "Field" ("fieldId"),
    "cropId" integer not null references "Crop" ("cropId"),
    "siloId" integer not null references "Silo" ("siloId"),
    "deliveredOn" date not null,
    "weightTonnes" numeric(7, 2) not null,
    "moisturePercent" numeric(4, 1) not null,
    "pricePerTonne" numeric(7, 2) not null
);
create table "Buyer" (
    "buyerId" integer primary key,
    "buyerName" text not null,
    "country" text not null
);
create table "SalesContract" (
    "contractId" integer primary key,
    "buyerId" integer not null references "Buyer" ("buyerId"),
    "cropId" integer not null references "Crop" ("cropId"),
    "signedOn" date not null,
    "quantityTonnes" numeric(8, 1) not null,
    "agreedPrice" numeric(7, 2) not null,
    "contractStatus" text not null
);
create table "Shipment" (
    "shipmentId" integer primary key,
    "contractId" integer not null references "SalesContract" ("contractId"),
    "siloId" integer not null references "Silo" ("siloId"),
    "shippedOn" date not null,
    "shippedTonnes" numeric(7, 1) not null
);
