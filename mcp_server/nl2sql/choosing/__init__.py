"""Which of the queries that a question may mean is the answer, and how sure that is."""
