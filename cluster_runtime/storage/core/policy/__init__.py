"""When what is due: pages made of log, log let go, segments replaced and verified. Rules alone."""
