"""What a policy would do with a load: traces, virtual time, ACU-hours. No cluster takes part."""
