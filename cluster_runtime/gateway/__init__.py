"""The PostgreSQL wire-protocol front door: TLS, credentials, routing, relay."""
