"""What a runtime knows and keeps: the RDS API's nouns, their rules, the catalog, its directory."""
