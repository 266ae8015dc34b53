"""Commands that go on until they are interrupted: events, logs, top."""
