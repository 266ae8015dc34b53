"""Who a client is: the handshake, TLS, IAM tokens, SCRAM."""
